//! The account, and connections to it.

use std::sync::Arc;

use acceptance_tests::servers::Moto;
use connector::{
    Connector, ObjectRef, Platform, Setup, SystemClock,
    transport::{Coalesce, HttpOptions, HttpTransport, Retry, Transport},
};
use domain::{Secret, Settings, settings::Setting};

pub(crate) const KIND: &str = "aws_iam_user";
pub(crate) const KEY: &str = "aws_iam_access_key";

/// Readers share what they may share, and a look that fails is repeated, as in a real connection.
fn shared(inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Coalesce::new(Arc::new(Retry::new(inner, Arc::new(SystemClock)))))
}

pub(crate) fn http(address: &str) -> Arc<dyn Transport> {
    let options = HttpOptions { address: address.to_owned(), ca_file: None };
    Arc::new(HttpTransport::new(options).unwrap())
}

/// A connection as another process would have it.
pub(crate) fn connect(
    address: &str,
    key: (&str, &str),
    settings: Settings,
    transport: Arc<dyn Transport>,
) -> Arc<dyn Connector> {
    let setup = Setup {
        name: "aws".into(),
        settings: settings.with("address", Setting::Text(address.to_owned())),
        credential: Some(Secret::new(format!("{}:{}", key.0, key.1))),
        credential_id: None,
        transport: shared(transport),
        clock: Arc::new(SystemClock),
        keyring: None,
    };
    aws_iam::PLATFORM.connect(setup).unwrap().connector.unwrap()
}

pub(crate) fn connect_to(moto: &Moto) -> Arc<dyn Connector> {
    let address = moto.address();
    let key = (moto.id.as_str(), moto.secret.as_str());
    connect(&address, key, Settings::default(), http(&address))
}

pub(crate) fn object(name: &str, vendor_id: Option<&str>) -> ObjectRef {
    ObjectRef {
        kind: KIND.into(),
        key: name.into(),
        vendor_id: vendor_id.map(str::to_owned),
        name: name.into(),
    }
}
