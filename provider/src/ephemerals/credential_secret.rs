//! `ephemeral "nhi_credential_secret"`: hands a delivered secret on, and stores it nowhere.

use std::collections::BTreeMap;

use domain::CredentialId;
use operations::{Problem, read_delivered};
use tfplugin::{
    Attr, Diagnostics, Model, Secret,
    ephemeral::{Ephemeral, Opened},
    erased::{Call, Deferred},
};

use crate::{diagnostics::errors, rules, shared::Shared};

/// A credential's secret as it was delivered to a sink, for another provider's write-only attribute
/// or its own configuration. It is in no plan and no state.
///
/// It only reads. While a rotation is planned the version to come is not known, so the core opens it
/// in apply, after the delivery. Give `generation` as the write-only attribute's version: it is known
/// at plan, so the consumer is updated in the same apply.
#[derive(Debug, Clone, PartialEq, Model)]
pub(crate) struct CredentialSecretModel {
    /// The credential: a whole `nhi_credential`.
    #[tf(required)]
    pub credential: Attr<DeliveredCredential>,
    /// The name of the place in its `deliver_to`; needed where there are several.
    #[tf(optional, computed, validate = rules::said)]
    pub sink: Attr<String>,
    /// The document's fields, such as `secret_id`.
    #[tf(computed)]
    pub fields: Attr<BTreeMap<String, Secret>>,
    /// The sink's version that they were read from.
    #[tf(computed)]
    pub version: Attr<String>,
}

/// What is needed of a credential.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct DeliveredCredential {
    /// `<integration id>/credential/<name>`.
    #[tf(required)]
    pub id: Attr<String>,
    /// Counts the slot's credentials.
    #[tf(required)]
    pub generation: Attr<i64>,
    /// Where the secret is delivered.
    #[tf(required)]
    pub deliver_to: Attr<BTreeMap<String, Place>>,
}

/// A place where the secret is delivered.
#[derive(Debug, Clone, PartialEq, Default, Model)]
pub(crate) struct Place {
    /// The connection's name.
    #[tf(required)]
    pub connection: Attr<String>,
    /// The document in it.
    #[tf(required)]
    pub path: Attr<String>,
    /// The sink's version of the document: not known while another one is to be delivered.
    #[tf(optional)]
    pub version: Attr<String>,
    /// The document's fields, where they are not the type's own.
    #[tf(optional)]
    pub fields: Attr<BTreeMap<String, String>>,
}

/// `nhi_credential_secret`.
#[derive(Debug)]
pub(crate) struct CredentialSecret {
    shared: Shared,
}

impl CredentialSecret {
    pub(crate) fn new(shared: Shared) -> CredentialSecret {
        CredentialSecret { shared }
    }
}

impl Ephemeral for CredentialSecret {
    type Model = CredentialSecretModel;
    const TYPE_NAME: &'static str = "nhi_credential_secret";

    async fn open(
        &self,
        mut model: CredentialSecretModel,
        call: &Call,
    ) -> Result<Opened<CredentialSecretModel>, Diagnostics> {
        let context = match self.shared.context() {
            Ok(context) => context,
            Err(problem)
                if problem.code == "E-NOT-YET-KNOWN" && call.capabilities.deferral_allowed =>
            {
                let deferred = Some(Deferred::ProviderConfigUnknown);
                return Ok(Opened { deferred, ..Opened::from(model) });
            }
            Err(problem) => return Err(errors(problem)),
        };
        let credential = model.credential.value().cloned().unwrap_or_default();
        let slot: CredentialId = credential.id.text().parse().map_err(|error| {
            errors(
                Problem::new("E-ID", "This is no credential's id")
                    .detail(format!("{error}."))
                    .next("pass the whole nhi_credential")
                    .at(&["credential", "id"]),
            )
        })?;
        let places = credential.deliver_to.value().cloned().unwrap_or_default();
        let (name, place) = chosen(&places, model.sink.as_deref()).map_err(errors)?;
        let delivery = place.delivery(name);
        let generation = credential.generation.value().copied().unwrap_or(0);
        let generation = u64::try_from(generation).unwrap_or(0);
        let delivered = read_delivered(&context, &slot, generation, &delivery)
            .await
            .map_err(|problem| errors(problem.at(&["credential"])))?;
        let fields = delivered.document.exposed();
        model.fields =
            Attr::Value(fields.map(|(name, text)| (name.to_owned(), Secret::new(text))).collect());
        model.sink = name.into();
        model.version = delivered.version.to_string().into();
        Ok(model.into())
    }
}

impl Place {
    pub(super) fn delivery(&self, name: &str) -> operations::Delivery {
        operations::Delivery {
            name: name.to_owned(),
            connection: self.connection.text().to_owned(),
            path: self.path.text().trim_matches('/').to_owned(),
            fields: self.fields.value().cloned().unwrap_or_default(),
            merge: false,
        }
    }
}

/// The place that is named, or the only one.
fn chosen<'a>(
    places: &'a BTreeMap<String, Place>,
    named: Option<&str>,
) -> Result<(&'a str, &'a Place), Problem> {
    let found = match named {
        Some(name) => places.get_key_value(name),
        None if places.len() == 1 => places.first_key_value(),
        None => None,
    };
    let known: Vec<&str> = places.keys().map(String::as_str).collect();
    found.map(|(name, place)| (name.as_str(), place)).ok_or_else(|| {
        Problem::new("E-SINK-NAME", "No such place in deliver_to")
            .detail(match named {
                Some(name) => format!("{name:?} is not among {}.", known.join(", ")),
                None if known.is_empty() => {
                    "The credential is delivered nowhere, so there is nothing to read.".to_owned()
                }
                None => format!("There are several: {}.", known.join(", ")),
            })
            .next("set sink to a name in the credential's deliver_to")
            .at(&["sink"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_place_needs_no_name_and_several_do() {
        let places = |names: &[&str]| -> BTreeMap<String, Place> {
            names.iter().map(|name| ((*name).to_owned(), Place::default())).collect()
        };
        let (one, two) = (places(&["app"]), places(&["app", "backup"]));
        assert_eq!(chosen(&one, None).unwrap().0, "app");
        assert_eq!(chosen(&two, Some("backup")).unwrap().0, "backup");
        assert!(chosen(&two, None).unwrap_err().detail.contains("app, backup"));
        assert!(chosen(&one, Some("nosuch")).unwrap_err().detail.contains("\"nosuch\""));
        assert!(chosen(&places(&[]), None).unwrap_err().detail.contains("nowhere"));
    }
}
