//! `nhi init`: a first `nhi.hcl`, the realm and its key.

use std::{
    fs,
    io::{BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use data_encoding::BASE32_NOPAD;
use operations::Problem;
use ring::rand::{SecureRandom, SystemRandom};

use crate::{exit::Exit, output::Output};

/// Write a first nhi.hcl, make the realm and its key, and check the connection.
///
/// Nothing that exists is overwritten.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi init
  nhi init --platform openbao --name bao --address https://bao.acme.example \\
           --credential-env BAO_TOKEN --custody secret/nhi")]
pub(crate) struct Init {
    /// The folder to write into.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,

    /// The first connection's platform.
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,

    /// The first connection's name, as ids will begin with.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The first connection's address.
    #[arg(long, value_name = "URL")]
    address: Option<String>,

    /// The environment variable that holds our credential for it.
    #[arg(long, value_name = "VARIABLE")]
    credential_env: Option<String>,

    /// The folder of that connection, if it is a sink, where unfinished rotations are kept.
    #[arg(long, value_name = "PATH")]
    custody: Option<String>,

    /// Write the files without trying the connection.
    #[arg(long)]
    offline: bool,
}

const KEY_FILE: &str = "nhi-realm.key";

impl Init {
    pub(crate) async fn run(self, output: &Output) -> Result<Exit, Problem> {
        let file = self.dir.join(wiring::FILE_NAME);
        let key_file = self.dir.join(KEY_FILE);
        for path in [&file, &key_file] {
            if path.exists() {
                return Err(Problem::new("E-INIT-EXISTS", "There is a configuration already")
                    .detail(format!("{} exists, and init never overwrites.", path.display()))
                    .next("edit it, or name another folder with --dir"));
            }
        }
        let answers = self.answers()?;
        let random = SystemRandom::new();
        let realm = random_text(&random, 6)?;
        let key = random_text(&random, 52)?;
        let tenant = if self.offline {
            None
        } else {
            let progress = output.progress(&format!("asking {} who it is", answers.address));
            let text = answers.hcl(&realm, None);
            // The key is not needed to ask, and is not on disk yet.
            let tenant = wiring::tenant_of(&text, &self.dir, &answers.name).await?;
            drop(progress);
            Some(tenant)
        };
        fs::create_dir_all(&self.dir).map_err(|error| cannot_write(&self.dir, &error))?;
        write_new(&key_file, &format!("{key}\n"), 0o600)?;
        write_new(&file, &answers.hcl(&realm, tenant.as_deref()), 0o644)?;
        keep_out_of_git(&self.dir)?;
        output.line(&format!("Wrote {} and {} (mode 0600).", file.display(), key_file.display()));
        if let Some(tenant) = &tenant {
            output.line(&format!("Connection {:?} answers as tenant {tenant}.", answers.name));
        }
        output.hint(
            "Keep the realm's key where you keep other secrets, and give it to CI as a file or, with\n\
             key = { env = \"NHI_REALM_KEY\" }, as a variable. Whoever has it can forge our marks;\n\
             without it fingerprints and marks cannot be checked. It is never in state or Git.",
        );
        output.hint("Next: nhi doctor");
        Ok(Exit::Clean)
    }

    fn answers(&self) -> Result<Answers, Problem> {
        let names: Vec<&str> = wiring::platforms()
            .iter()
            .filter(|platform| !platform.kinds().is_empty())
            .map(|platform| platform.name())
            .collect();
        let platform = ask(self.platform.as_deref(), "--platform", &names.join(" or "), names[0])?;
        let Some(found) = wiring::platform(&platform) else {
            return Err(Problem::new("E-INIT-PLATFORM", "No such platform")
                .detail(format!("{platform:?} is none of: {}.", names.join(", ")))
                .next("pass one of them to --platform"));
        };
        let (address, variable) = match platform.as_str() {
            "openbao" => ("http://127.0.0.1:8200", "BAO_TOKEN"),
            _ => ("https://id.example", "NHI_CREDENTIAL"),
        };
        let short = if platform == "openbao" { "bao" } else { &platform };
        let name = ask(self.name.as_deref(), "--name", "the connection's name", short)?;
        let address = ask(self.address.as_deref(), "--address", "its address", address)?;
        let variable = ask(
            self.credential_env.as_deref(),
            "--credential-env",
            "the environment variable that holds our credential for it",
            variable,
        )?;
        let custody = if found.is_sink() {
            let about = "the folder where unfinished rotations are kept";
            Some(ask(self.custody.as_deref(), "--custody", about, "secret/nhi")?)
        } else {
            None
        };
        Ok(Answers { platform, name, address, variable, custody })
    }
}

/// A flag's value, or the answer to a question where somebody can be asked.
fn ask(given: Option<&str>, flag: &str, about: &str, usual: &str) -> Result<String, Problem> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Problem::new("E-INIT-ASK", "A question without anybody to answer it")
            .detail(format!("{flag} is not given ({about}), and standard input is no terminal."))
            .next(format!("nhi init {flag} {usual}")));
    }
    let _ = write!(anstream::stderr(), "{about} [{usual}]: ");
    let _ = anstream::stderr().flush();
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|error| {
        Problem::new("E-INIT-ASK", "The answer could not be read").detail(error.to_string())
    })?;
    let line = line.trim();
    Ok(if line.is_empty() { usual.to_owned() } else { line.to_owned() })
}

struct Answers {
    platform: String,
    name: String,
    address: String,
    variable: String,
    custody: Option<String>,
}

impl Answers {
    fn hcl(&self, realm: &str, tenant: Option<&str>) -> String {
        let Answers { platform, name, address, variable, custody } = self;
        let tenant =
            tenant.map(|id| format!("      tenant     = {}\n", quoted(id))).unwrap_or_default();
        let custody = custody
            .as_deref()
            .map(|path| {
                format!(
                    "\n# Where unfinished rotations and management credentials are kept.\n\
                     custody = {{ connection = {}, path = {} }}\n",
                    quoted(name),
                    quoted(path)
                )
            })
            .unwrap_or_default();
        format!(
            "# What nhi and its Terraform provider connect to. No secret stands in here: only where it is.\n\
             connections = {{\n  {} = {{\n    {platform} = {{\n      address    = {}\n      credential = {{ env = {} }}\n{tenant}    }}\n  }}\n}}\n\
             {custody}\n\
             # Its key makes our marks on the platforms our own. Keep it; never commit it.\n\
             realm = {{ id = {}, key = {{ file = \"{KEY_FILE}\" }} }}\n\n\
             ledger = {{ sqlite = {{ path = \"nhi.db\" }} }}\n",
            quoted(name),
            quoted(address),
            quoted(variable),
            quoted(realm),
        )
    }
}

/// A text as an HCL literal.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out.replace("${", "$${").replace("%{", "%%{")
}

fn random_text(random: &SystemRandom, characters: usize) -> Result<String, Problem> {
    let mut bytes = vec![0u8; characters];
    random.fill(&mut bytes).map_err(|_| {
        Problem::new("E-INIT-RANDOM", "This machine gives no random bytes")
            .detail("The realm's key must be random.")
    })?;
    Ok(BASE32_NOPAD.encode(&bytes).to_lowercase().chars().take(characters).collect())
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Problem> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(mode);
    }
    #[cfg(not(unix))]
    let _ = mode;
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("E-INIT-WRITE", "A file could not be written")
        .detail(format!("{}: {error}", path.display()))
        .next("name a folder that you may write to with --dir")
}

/// The key and the ledger are not for the repository.
fn keep_out_of_git(folder: &Path) -> Result<(), Problem> {
    let path = folder.join(".gitignore");
    let have = fs::read_to_string(&path).unwrap_or_default();
    let missing: Vec<&str> = [KEY_FILE, "nhi.db*"]
        .into_iter()
        .filter(|line| !have.lines().any(|had| had.trim() == *line))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let glue = if have.is_empty() || have.ends_with('\n') { "" } else { "\n" };
    fs::write(&path, format!("{have}{glue}{}\n", missing.join("\n")))
        .map_err(|error| cannot_write(&path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            platform: "openbao".into(),
            name: "bao".into(),
            address: "http://127.0.0.1:8200".into(),
            variable: "BAO_TOKEN".into(),
            custody: Some("secret/nhi".into()),
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let text = answers().hcl("k3x9q2", Some("cluster-1"));
        let config = wiring::Config::read(&wiring::Node::parse_hcl(&text).unwrap()).unwrap();
        assert_eq!(config.connections["bao"].tenant.as_deref(), Some("cluster-1"));
        assert_eq!(config.custody.unwrap().path, "secret/nhi");
    }

    #[test]
    fn an_answer_cannot_break_out_of_its_quotes() {
        let hostile = Answers { address: "x\" } ${a} %{if b}\n".into(), ..answers() };
        let node = wiring::Node::parse_hcl(&hostile.hcl("k3x9q2", None)).unwrap();
        let address =
            node.member("connections").member("bao").member("openbao").member("address").clone();
        assert_eq!(address, wiring::Node::Text("x\" } ${a} %{if b}\n".into()));
    }

    #[test]
    fn the_key_is_ours_alone_and_kept_out_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        write_new(&path, "k", 0o600).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(write_new(&path, "other", 0o600).is_err(), "never overwritten");
        fs::write(folder.path().join(".gitignore"), "/target").unwrap();
        keep_out_of_git(folder.path()).unwrap();
        keep_out_of_git(folder.path()).unwrap();
        let lines = fs::read_to_string(folder.path().join(".gitignore")).unwrap();
        assert_eq!(lines, "/target\nnhi-realm.key\nnhi.db*\n");
    }
}
