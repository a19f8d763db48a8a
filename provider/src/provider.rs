//! The provider block: empty with an `nhi.hcl` beside the configuration, or its body inline.

use std::path::PathBuf;

use connector::{Field, FieldType, OwnCredential};
use operations::Problem;
use tfplugin::{
    Attribute, Diagnostics, Model, Nesting, Object, Type, Value,
    model::Misread,
    provider::{Configure, Provider},
};
use wiring::{Environment, Loaded};

use crate::{diagnostics, shared::Shared, values::node};

/// The provider.
#[derive(Debug)]
pub struct Nhi {
    shared: Shared,
    /// What it acts on was given to it, and the block is not asked.
    ready: bool,
}

impl Nhi {
    pub(crate) fn new(shared: Shared) -> Nhi {
        Nhi { shared, ready: false }
    }

    /// Over what is configured already.
    pub(crate) fn ready(shared: Shared) -> Nhi {
        Nhi { shared, ready: true }
    }
}

/// The provider block as it came over the wire; its form is made from the platforms' tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Block(Object);

/// Governs SaaS integrations.
impl Model for Block {
    fn attributes() -> Vec<Attribute> {
        attributes()
    }

    fn description() -> &'static str {
        "Puts every SaaS integration under Terraform: who owns it, what it may do, which credentials \
         it holds and when they change.\n\nThe block is usually empty: connections, realm, custody, \
         policy and ledger stand in `nhi.hcl` beside the configuration, where the `nhi` command reads \
         them too (`nhi init` writes a first one). The same body may stand in the block instead: \
         beside a file it is an error. No secret stands \
         in either: they say where each one is."
    }

    fn read(from: &Object) -> Result<Self, Misread> {
        let names: Vec<String> = attributes().into_iter().map(|one| one.name).collect();
        Ok(Block(
            names
                .into_iter()
                .filter_map(|name| Some((name.clone(), from.get(&name)?.clone())))
                .collect(),
        ))
    }

    fn write(&self, into: &mut Object) {
        for attribute in attributes() {
            let value = self.0.get(&attribute.name).cloned().unwrap_or(Value::Null);
            into.insert(attribute.name, value);
        }
    }
}

fn text(name: &str, doc: &str) -> Attribute {
    Attribute::new(name, Type::String).optional().describe(doc)
}

fn object(name: &str, doc: &str, attributes: Vec<Attribute>) -> Attribute {
    Attribute::nested(name, Nesting::Single, attributes).optional().describe(doc)
}

fn sources(form: &str) -> Vec<Attribute> {
    vec![
        text("env", &format!("The environment variable that holds it.{form}")),
        text("file", &format!("The file that holds it, readable for its owner only.{form}")),
        text("path", &format!("Where a sink holds it: `<connection>:<path>#<field>`.{form}")),
    ]
}

fn source(name: &str, doc: &str) -> Attribute {
    object(name, doc, sources(""))
}

/// Where our own credential for a platform is. What the platform does not take is there to be refused.
fn credential(takes: OwnCredential) -> Attribute {
    let form = match takes {
        OwnCredential::AccessKey => " As one text it is `<id>:<secret>`.",
        _ => "",
    };
    let only = |attribute: Attribute, taken: bool| match taken {
        true => attribute,
        false => attribute.unlisted(),
    };
    let approle = object(
        "approle",
        "An AppRole of our own to sign in with.",
        vec![text("role_id", "Its role id."), source("secret_id", "Where its secret id is.")],
    );
    let access_key = object(
        "access_key",
        "An access key of our own to sign with.",
        vec![
            source("id", "Where its id is."),
            source("secret", "Where its secret is."),
            source("session_token", "Where its session token is, if it is one for a while."),
        ],
    );
    let mut all = sources(form);
    all.push(only(approle, takes == OwnCredential::SecretOrAppRole));
    all.push(only(access_key, takes == OwnCredential::AccessKey));
    let doc = "Where our own credential for it is; never the credential itself.";
    only(object("credential", doc, all), takes != OwnCredential::Nothing)
}

/// A database that the ledger is kept in.
fn database() -> Attribute {
    object(
        "postgres",
        "A PostgreSQL database of its own, for several machines that share one history.",
        vec![
            text("host", "A name, an IP address, or the folder of a socket."),
            Attribute::new("port", Type::Number).optional().describe("5432 where this is not set."),
            text("database", "The database."),
            text("user", "Who signs in."),
            near("password", "Where the password is, if the server asks for one."),
            text(
                "sslmode",
                "`verify-full` unless the host is this machine; `disable` sends everything in the \
                 clear.",
            ),
            text("ca_file", "Certificates in PEM to trust instead of the system's."),
            near(
                "url",
                "Instead of host, database, user and password, where \
                 `postgresql://<user>:<password>@<host>:<port>/<database>` is.",
            ),
        ],
    )
}

/// Where a secret is that is needed before any connection is open.
fn near(name: &str, doc: &str) -> Attribute {
    let mut all = sources("");
    all.truncate(2);
    object(name, doc, all)
}

fn field(field: &Field) -> Attribute {
    let ty = match field.field_type {
        FieldType::Text | FieldType::Word(_) | FieldType::Span | FieldType::Date => Type::String,
        FieldType::Flag => Type::Bool,
        FieldType::Count => Type::Number,
        FieldType::Texts | FieldType::Cidrs | FieldType::Uris => Type::set(Type::String),
    };
    Attribute::new(field.name, ty).optional().describe(field.doc)
}

fn attributes() -> Vec<Attribute> {
    let platforms = wiring::platforms()
        .into_iter()
        .map(|platform| {
            let mut all: Vec<Attribute> = platform
                .connection_fields()
                .iter()
                .filter(|one| one.name != "tenant")
                .map(field)
                .collect();
            all.push(credential(platform.own_credential()));
            all.push(text(
                "tenant",
                "The tenant's own id that must answer, as `nhi init` wrote it: protects against an \
                 address that points elsewhere.",
            ));
            all.push(Attribute::new("budget", Type::Number).optional().describe(format!(
                "Requests a second that it may be sent; {} where this is not set. A 429 is \
                 always obeyed. An aliased provider block is a process of its own with a budget of \
                 its own, so put several connections into one block instead.",
                platform.usual_budget()
            )));
            object(platform.name(), platform.doc(), all)
        })
        .collect();
    vec![
        text("config_file", "The configuration file, if it is not the nearest `nhi.hcl` upwards."),
        Attribute::nested("connections", Nesting::Map, platforms)
            .optional()
            .describe("What to connect to, by a name of your own. Exactly one platform in each."),
        object(
            "custody",
            "Where unfinished rotations, pending secrets and management credentials are kept.",
            vec![
                text("connection", "The connection that is the sink."),
                text("path", "The folder in it."),
            ],
        ),
        object(
            "realm",
            "The governing installation whose marks are ours.",
            vec![text("id", "Its id, as `nhi init` made it."), source("key", "Where its key is.")],
        ),
        object(
            "ledger",
            "Where the history is kept: `nhi.db` beside the configuration unless set.",
            vec![
                object("sqlite", "A SQLite file.", vec![text("path", "The file.")]),
                database(),
                Attribute::new("none", Type::Bool).optional().describe("No history is kept."),
            ],
        ),
        object(
            "policy",
            "The organization's rules.",
            vec![
                text("file", "The file."),
                text("pin", "The digest that it must have: `sha256:<hex>`."),
            ],
        ),
        object(
            "run",
            "Who asked for this run; CI's own variables unless set.",
            vec![
                text("ticket", "A ticket."),
                text("url", "Where the run can be seen."),
                text("requester", "Who asked."),
            ],
        ),
        Attribute::new("read_only", Type::Bool)
            .optional()
            .describe("Plan works, apply changes nothing: for pull requests."),
        Attribute::new("demo", Type::Bool).optional().describe(
            "Floors of durations drop to seconds; every connection must be on this machine.",
        ),
    ]
}

impl Provider for Nhi {
    type Model = Block;
    const NAME: &'static str = "nhi";

    fn word(&self, summary: &str, detail: String) -> String {
        diagnostics::coded(summary, detail)
    }

    async fn configure(&self, block: Block, request: Configure) -> Diagnostics {
        let _ = request;
        self.shared.begin();
        if self.ready {
            return Diagnostics::new();
        }
        match load(&block) {
            Ok(made) => {
                let mut told = Diagnostics::new();
                if let Ok(context) = &made {
                    context.look_at_ledger().await;
                    told = diagnostics::notices(context);
                    told.extend(context.gate.closed().map(policy_is_closed));
                }
                self.shared.configure(made);
                told
            }
            Err(problem) => diagnostics::errors(problem),
        }
    }
}

/// A policy that cannot be used stops what gives power alone, so that a slip in it stops no destroy.
fn context(
    loaded: &Loaded,
    program: &str,
) -> Result<Result<operations::Context, Problem>, Problem> {
    loaded.context_to_end(program, "apply").map(|(context, _)| Ok(context))
}

fn policy_is_closed(wrong: &Problem) -> tfplugin::Diagnostic {
    let detail = format!(
        "{}. Until then no power is given, and no resource is judged by a date or a directory; what takes \
         power away goes on, by the defaults of its thresholds.",
        wrong.detail.trim_end_matches('.')
    );
    diagnostics::warning(&Problem { summary: "The policy needs a look", detail, ..wrong.clone() })
}

/// What is in the way of everything is an error at once; what is in the way of some is kept for
/// those that need it.
fn load(block: &Block) -> Result<Result<operations::Context, Problem>, Problem> {
    let program = concat!("terraform-provider-nhi/", env!("CARGO_PKG_VERSION"));
    let inline: Vec<&String> = block
        .0
        .iter()
        .filter(|(name, value)| *name != "config_file" && !value.is_null())
        .map(|(name, _)| name)
        .collect();
    let named = match block.0.get("config_file") {
        Some(Value::String(text)) => Some(text.as_str()),
        Some(Value::Unknown(_)) => {
            return Ok(Err(Problem::new("E-NOT-YET-KNOWN", "The configuration is not known yet")
                .detail("config_file becomes known during apply, so nothing can be read now.")
                .next("apply what it depends on first, with -target")));
        }
        _ => None,
    };
    if inline.is_empty() {
        let loaded = match wiring::load(named) {
            Ok(loaded) => loaded,
            Err(problem) if problem.code == "E-CONFIG-MISSING" => return Ok(Err(problem)),
            Err(problem) => return Err(problem),
        };
        return context(&loaded, program);
    }
    let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let environment = Environment::of_process();
    // nhi reads no .tf: it would go by the file, and the provider by its block.
    let beside = wiring::discover(named, environment.get("NHI_CONFIG").as_deref(), &folder);
    if let Some(file) = beside.file {
        return Err(Problem::new("E-CONFIG-TWICE", "A file and an inline body together")
            .detail(format!(
                "The provider block has a body of its own, and {} stands beside it; nhi would go by the \
                 file alone.",
                file.display()
            ))
            .next("keep one of them: empty the block, or move the file away")
            .at(&["config_file"]));
    }
    let body = node(&Value::Object(block.0.clone()));
    let loaded = Loaded::from_block(&body, &folder, environment).map_err(|error| {
        let steps: Vec<&str> = error.place.steps().iter().map(String::as_str).collect();
        Problem::new("E-CONFIG", "The provider block is not right")
            .detail(error.to_string())
            .next("correct it there")
            .at(&steps)
    })?;
    if let Some(part) = &loaded.config.unknown {
        return Ok(Err(Problem::new("E-NOT-YET-KNOWN", "The configuration is not known yet")
            .detail(format!("{part} becomes known during apply, so nothing can be read now."))
            .next("apply what it depends on first, with -target")));
    }
    context(&loaded, program)
}
