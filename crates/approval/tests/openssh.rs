//! With the real `ssh-keygen`: what it makes is believed here, and what is made here it believes.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use approval::{
    Envelope, Folder, Revoked, Signers, Statement, Store as _,
    sshsig::{armour, from_armour, sign},
    statement::{Policy, Said, shown},
    verify::{Trust, verify, votes},
};
use policy::change::{
    Digest,
    quorum::{Decision, Presence},
};
use ssh_key::PrivateKey;

const NAMESPACE: &str = "nhi-approval@acme.example";
const DIGEST: Digest = Digest([7; 32]);

/// Runs `ssh-keygen`, with bytes on its standard input.
fn keygen(folder: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::Write as _;
    let mut child = Command::new("ssh-keygen")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ssh-keygen is on the PATH");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn key(folder: &Path, name: &str, kind: &[&str]) -> String {
    let arguments = [&["-q", "-N", "", "-C", name, "-f", name, "-t"], kind].concat();
    keygen(folder, &arguments, b"").unwrap();
    fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap()
}

fn statement() -> Statement {
    let at = |text: &str| text.parse().unwrap();
    Statement {
        subjects: [(DIGEST, "nhi_scope openbao_approle/x".to_owned())].into(),
        said: Said {
            decision: Decision::Approve,
            role: "security".into(),
            reason: "INC-4711".into(),
            signed_at: at("2027-01-10T09:00:00Z"),
            not_before: at("2027-01-10T09:00:00Z"),
            not_after: at("2027-01-10T13:00:00Z"),
            requester: None,
            ticket: None,
            policy: Policy { version: 12, digest: "00".into() },
            shown: shown("text"),
            nonce: "n1".into(),
        },
    }
}

fn enveloped(payload: Vec<u8>, signature: Vec<u8>) -> Vec<u8> {
    Envelope { payload, signatures: vec![signature] }.to_json("").into_bytes()
}

struct Belief {
    signers: Signers,
    revoked: Revoked,
}

impl Belief {
    fn of(signers: &str) -> Belief {
        Belief { signers: Signers::parse(signers).unwrap(), revoked: Revoked::default() }
    }

    fn asked(&self, bytes: &[u8], at: &str) -> Result<(String, Presence), (&'static str, String)> {
        let trust = Trust { namespace: NAMESPACE, signers: &self.signers, revoked: &self.revoked };
        let found = verify(bytes, trust, &[at.parse().unwrap()]);
        found
            .map(|one| (one.by[0].principal.clone(), one.by[0].presence))
            .map_err(|error| (error.code, error.why))
    }
}

const NOON: &str = "2027-01-10T12:00:00Z";

#[test]
fn what_ssh_keygen_signs_is_believed_and_what_is_signed_here_ssh_keygen_believes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, kind) in [
        ("ed", &["ed25519"][..]),
        ("p256", &["ecdsa", "-b", "256"]),
        ("p384", &["ecdsa", "-b", "384"]),
    ] {
        let public = key(folder, name, kind);
        let signers = format!("{name}@acme {public}");
        fs::write(folder.join("signers"), &signers).unwrap();
        let belief = Belief::of(&signers);
        let payload = statement().to_bytes();
        let bytes = Envelope::signed_bytes(&payload);

        let theirs =
            keygen(folder, &["-q", "-Y", "sign", "-f", name, "-n", NAMESPACE], &bytes).unwrap();
        let theirs = from_armour(std::str::from_utf8(&theirs).unwrap()).unwrap();
        let who = belief.asked(&enveloped(payload.clone(), theirs), NOON).unwrap();
        assert_eq!(who, (format!("{name}@acme"), Presence::Key));

        let secret = PrivateKey::from_openssh(fs::read(folder.join(name)).unwrap()).unwrap();
        let ours = sign(&secret, NAMESPACE, &bytes).unwrap();
        fs::write(folder.join("sig"), armour(&ours)).unwrap();
        let principal = format!("{name}@acme");
        let believed = keygen(
            folder,
            &["-Y", "verify", "-f", "signers", "-I", &principal, "-n", NAMESPACE, "-s", "sig"],
            &bytes,
        );
        assert!(believed.is_ok(), "{name}: {believed:?}");
        assert_eq!(belief.asked(&enveloped(payload, ours), NOON).unwrap().0, principal);
    }
}

#[test]
fn a_signature_for_something_else_or_over_other_words_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let public = key(folder, "ann", &["ed25519"]);
    let belief = Belief::of(&format!("ann@acme {public}"));
    let secret = PrivateKey::from_openssh(fs::read(folder.join("ann")).unwrap()).unwrap();
    let payload = statement().to_bytes();
    let bytes = Envelope::signed_bytes(&payload);
    let of = |bytes: Vec<u8>| belief.asked(&bytes, NOON).unwrap_err();

    let git = sign(&secret, "git", &bytes).unwrap();
    let (code, why) = of(enveloped(payload.clone(), git));
    assert!(code == "E-APPROVAL-SIGNATURE" && why.contains("\"git\""), "{code} {why}");

    // The words were changed by hand after they were signed.
    let good = sign(&secret, NAMESPACE, &bytes).unwrap();
    let mut other = statement();
    other.said.not_after = "2028-01-10T13:00:00Z".parse().unwrap();
    assert_eq!(of(enveloped(other.to_bytes(), good.clone())).0, "E-APPROVAL-SIGNATURE");

    // The payload without its envelope's encoding was signed.
    let plain = sign(&secret, NAMESPACE, &payload).unwrap();
    assert_eq!(of(enveloped(payload.clone(), plain)).0, "E-APPROVAL-SIGNATURE");

    // One good signature beside a bad one.
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let both = Envelope { payload, signatures: vec![good, bad] }.to_json("").into_bytes();
    assert_eq!(of(both).0, "E-APPROVAL-SIGNATURE");
}

#[test]
fn a_key_counts_while_it_is_valid_in_its_namespace_and_not_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let public = key(folder, "ann", &["ed25519"]);
    let secret = PrivateKey::from_openssh(fs::read(folder.join("ann")).unwrap()).unwrap();
    let payload = statement().to_bytes();
    let signed = sign(&secret, NAMESPACE, &Envelope::signed_bytes(&payload)).unwrap();
    let bytes = enveloped(payload, signed);
    let of = |options: &str, at: &str| {
        let belief = Belief::of(&format!("ann@acme {options} {public}"));
        belief.asked(&bytes, at).map_err(|(code, why)| format!("{code}: {why}"))
    };
    let between = r#"namespaces="git,nhi-*",valid-after="20270101",valid-before="202702010000Z""#;
    assert!(of(between, NOON).is_ok());
    assert!(of(between, "2027-02-01T00:00:00Z").unwrap_err().contains("until 2027-02-01"));
    assert!(of(between, "2026-12-31T23:59:59Z").unwrap_err().contains("from 2027-01-01"));
    assert!(of(r#"namespaces="git""#, NOON).unwrap_err().contains("namespace"));
    assert!(of(r#"namespaces="!nhi-*,*""#, NOON).is_err());

    let mut belief = Belief::of(&format!("ann@acme {public}"));
    keygen(folder, &["-q", "-k", "-f", "krl", "ann.pub"], b"").unwrap();
    for list in [fs::read(folder.join("krl")).unwrap(), public.clone().into_bytes()] {
        belief.revoked = Revoked::parse(&list).unwrap();
        assert_eq!(belief.asked(&bytes, NOON).unwrap_err().0, "E-APPROVAL-KEY-REVOKED");
    }
    // By its SHA-256, too.
    let print = keygen(folder, &["-lf", "ann.pub"], b"").unwrap();
    let print = String::from_utf8(print).unwrap();
    let print = print.split_whitespace().nth(1).unwrap();
    fs::write(folder.join("spec"), format!("hash: {print}\n")).unwrap();
    keygen(folder, &["-q", "-k", "-f", "krl2", "spec"], b"").unwrap();
    belief.revoked = Revoked::parse(&fs::read(folder.join("krl2")).unwrap()).unwrap();
    assert_eq!(belief.asked(&bytes, NOON).unwrap_err().0, "E-APPROVAL-KEY-REVOKED");
    let somebody = key(folder, "bob", &["ed25519"]);
    belief.revoked = Revoked::parse(somebody.as_bytes()).unwrap();
    assert!(belief.asked(&bytes, NOON).is_ok());
    // Nobody is known by that key.
    let belief = Belief::of(&format!("bob@acme {somebody}"));
    assert_eq!(belief.asked(&bytes, NOON).unwrap_err().0, "E-APPROVAL-SIGNER");
}

#[test]
fn an_authority_speaks_for_whom_it_may_while_its_certificate_holds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let authority = key(folder, "ca", &["ed25519"]);
    key(folder, "ann", &["ed25519"]);
    let certify = |principals: &str, serial: &str| {
        let span = "20270101000000Z:20270111000000Z";
        let arguments = [
            "-q",
            "-s",
            "ca",
            "-I",
            "ann-laptop",
            "-n",
            principals,
            "-V",
            span,
            "-z",
            serial,
            "ann.pub",
        ];
        // OpenSSH before 9.3 has no zone in -V; the machine's is UTC in the tests' environment.
        keygen(folder, &arguments, b"").unwrap_or_else(|_| {
            let span = "20270101000000:20270111000000";
            let arguments = arguments.map(|one| if one.ends_with("Z") { span } else { one });
            keygen(folder, &arguments, b"").unwrap()
        });
        let payload = statement().to_bytes();
        let bytes = Envelope::signed_bytes(&payload);
        // With a certificate beside the key ssh-keygen signs as what is certified.
        let signed =
            keygen(folder, &["-q", "-Y", "sign", "-f", "ann-cert.pub", "-n", NAMESPACE], &bytes)
                .unwrap();
        let signed = from_armour(std::str::from_utf8(&signed).unwrap()).unwrap();
        enveloped(payload, signed)
    };
    let mut belief = Belief::of(&format!("*@acme cert-authority {authority}"));
    let good = certify("ann@acme", "7");
    assert_eq!(belief.asked(&good, NOON).unwrap().0, "ann@acme");
    assert_eq!(belief.asked(&good, "2027-01-12T00:00:00Z").unwrap_err().0, "E-APPROVAL-SIGNER");
    assert!(belief.asked(&certify("ann@evil", "8"), NOON).unwrap_err().1.contains("nobody"));
    let two = certify("ann@acme,bob@acme", "9");
    assert!(belief.asked(&two, NOON).unwrap_err().1.contains("several"));
    // Its key alone, not certified, is nobody's.
    assert_eq!(
        Belief::of(&format!("ca@acme {authority}")).asked(&good, NOON).unwrap_err().0,
        "E-APPROVAL-SIGNER"
    );
    for spec in ["serial: 7\n", "serial: 1-9\n", "id: ann-laptop\n"] {
        fs::write(folder.join("spec"), spec).unwrap();
        keygen(folder, &["-q", "-k", "-f", "krl", "-s", "ca.pub", "spec"], b"").unwrap();
        belief.revoked = Revoked::parse(&fs::read(folder.join("krl")).unwrap()).unwrap();
        assert_eq!(belief.asked(&good, NOON).unwrap_err().0, "E-APPROVAL-KEY-REVOKED", "{spec}");
    }
    fs::write(folder.join("spec"), "serial: 8\n").unwrap();
    keygen(folder, &["-q", "-k", "-f", "krl", "-s", "ca.pub", "spec"], b"").unwrap();
    belief.revoked = Revoked::parse(&fs::read(folder.join("krl")).unwrap()).unwrap();
    assert!(belief.asked(&good, NOON).is_ok());
}

#[test]
fn a_file_of_signers_is_read_as_openssh_does_and_what_would_count_one_person_twice_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let public = key(folder.path(), "ann", &["ed25519"]);
    let public = public.trim();
    let no = |text: String| Signers::parse(&text).unwrap_err().to_string();
    assert!(Signers::parse(&format!("# people\n\n\"ann@acme\" {public}\n")).is_ok());
    assert!(no(format!("ann@acme {public}\nbob@acme {public}")).contains("line 2: this key"));
    assert!(no(format!("ann@acme,bob@acme {public}")).contains("one person's"));
    assert!(no(format!("*@acme {public}")).contains("one person's"));
    assert!(no(format!("ann@acme may-all {public}")).contains("may-all"));
    assert!(no(format!("ann@acme valid-after=\"soon\" {public}")).contains("soon"));
    assert!(no(format!("ann@acme valid-after=\"20271332\" {public}")).contains("no time"));
    assert!(no(format!("ann@acme namespaces=\"x {public}")).contains("line 1"));
    assert!(no("ann@acme ssh-ed25519 AAAA".to_owned()).contains("public key"));
    assert!(no("ann@acme".to_owned()).contains("expected"));
}

#[test]
fn votes_are_of_those_who_signed_this_very_change_and_the_rest_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let public = key(folder, "ann", &["ed25519"]);
    let belief = Belief::of(&format!("ann@acme {public}"));
    let secret = PrivateKey::from_openssh(fs::read(folder.join("ann")).unwrap()).unwrap();
    let payload = statement().to_bytes();
    let signed = sign(&secret, NAMESPACE, &Envelope::signed_bytes(&payload)).unwrap();
    let bytes = enveloped(payload, signed);
    let store = Folder(folder.join("approvals"));
    let other = Digest([8; 32]);
    store.add(DIGEST, "ann@acme-n1", &bytes).unwrap();
    store.add(DIGEST, "torn", &bytes[..20]).unwrap();
    // Copied into the folder of another change.
    store.add(other, "ann@acme-n1", &bytes).unwrap();
    let trust = Trust { namespace: NAMESPACE, signers: &belief.signers, revoked: &belief.revoked };
    let at: jiff::Timestamp = NOON.parse().unwrap();
    let (found, unread) = votes(&store, DIGEST, trust, at.into()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].principal.as_str(), found[0].policy_version), ("ann@acme", 12));
    assert_eq!(unread.len(), 1);
    assert!(unread[0].place.contains("torn") && unread[0].code == "E-APPROVAL-FORM");
    let (found, unread) = votes(&store, other, trust, at.into()).unwrap();
    assert!(found.is_empty());
    assert_eq!(unread[0].code, "E-APPROVAL-SUBJECT");
}
