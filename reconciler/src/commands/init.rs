//! `nhi init`: a first `nhi.hcl`, the realm and its key.

use std::{
    fs,
    io::{BufRead, IsTerminal, Write},
    path::{Component, Path, PathBuf},
};

use clap::Args;
use connector::Platform;
use data_encoding::BASE32_NOPAD;
use operations::Problem;
use ring::rand::{SecureRandom, SystemRandom};

use crate::{exit::Exit, hcl::quoted, output::Output};

/// Write a first nhi.hcl, make the realm and its key, and check the connections.
///
/// Nothing that exists is overwritten.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  nhi init
  nhi init --config prod/nhi.hcl
  nhi init --platform openbao --name bao --address https://bao.acme.example \\
           --credential-env BAO_TOKEN --custody secret/nhi
  nhi init --platform oauth --name id --address https://id.acme.example \\
           --credential-env ID_TOKEN --custody-platform openbao --custody-name bao \\
           --custody-address https://bao.acme.example --custody-credential-env BAO_TOKEN \\
           --custody secret/nhi")]
pub(crate) struct Init {
    /// The folder to write nhi.hcl into; else --config or NHI_CONFIG names the file, else here.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

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

    /// A file of PEM certificates that sign its server's, where that authority is a private one. What
    /// is written leads there from nhi.hcl.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,

    /// The folder where unfinished rotations are kept: in that connection, if it is a sink.
    #[arg(long, value_name = "PATH")]
    custody: Option<String>,

    /// The platform of a second connection that keeps them, where the first one is no sink.
    #[arg(long, value_name = "NAME")]
    custody_platform: Option<String>,

    /// The second connection's name.
    #[arg(long, value_name = "NAME")]
    custody_name: Option<String>,

    /// The second connection's address, or its folder.
    #[arg(long, value_name = "URL")]
    custody_address: Option<String>,

    /// The environment variable that holds our credential for it.
    #[arg(long, value_name = "VARIABLE")]
    custody_credential_env: Option<String>,

    /// The file of certificates for it.
    #[arg(long, value_name = "FILE")]
    custody_ca_file: Option<String>,

    /// Write the files without trying the connections.
    #[arg(long)]
    offline: bool,
}

const KEY_FILE: &str = "nhi-realm.key";

impl Init {
    pub(crate) async fn run(self, config: Option<&str>, output: &Output) -> Result<Exit, Problem> {
        let variable = wiring::Environment::of_process().get("NHI_CONFIG");
        let variable = variable.filter(|place| !place.is_empty());
        let file = self.file(config, variable.as_deref())?;
        // Of a bare name this is the empty path, which is where we are.
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let key_file = folder.join(KEY_FILE);
        for path in [&file, &key_file] {
            if path.exists() {
                return Err(Problem::new("E-INIT-EXISTS", "There is a configuration already")
                    .detail(format!("{} exists, and init never overwrites.", path.display()))
                    .next("edit it, or name another folder with --dir"));
            }
        }
        let mut answers = self.answers().map_err(|problem| self.with_given(problem, config))?;
        let random = SystemRandom::new();
        let realm = random_text(&random, 6)?;
        let key = random_text(&random, 52)?;
        let mut written = Vec::new();
        for one in answers.connections_mut() {
            let paths = one.ca_file.take().map(|given| paths_of(&folder, &given)).transpose()?;
            let (here, from_there) = paths.unzip();
            // What is asked is asked before the folder is there, and nothing leads on from it.
            one.ca_file = here;
            written.push(from_there);
        }
        let text = answers.hcl(&realm);
        if self.offline {
            for one in answers.connections_mut() {
                wiring::try_address(&text, &folder, &one.name)?;
            }
        } else {
            for one in answers.connections_mut() {
                let progress = output.progress(&format!("asking {} who it is", one.place));
                // The key is not needed to ask, and is not on disk yet.
                one.tenant = wiring::tenant_of(&text, &folder, &one.name).await?;
                drop(progress);
            }
        }
        let custody = match self.offline {
            true => Ok(None),
            false => wiring::try_custody(&answers.hcl(&realm), &folder).await,
        };
        for (one, path) in answers.connections_mut().zip(written) {
            one.ca_file = path;
        }
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        }
        write_both((&key_file, &format!("{key}\n"), 0o600), (&file, &answers.hcl(&realm), 0o644))?;
        keep_out_of_git(&folder)?;
        output.line(&format!("Wrote {} and {} (mode 0600).", file.display(), key_file.display()));
        for one in answers.connections_mut() {
            if let Some(tenant) = &one.tenant {
                output.line(&format!("Connection {:?} answers as tenant {tenant}.", one.name));
            }
        }
        // The files are right all the same: a place for custody can be made later.
        match custody {
            Err(problem) => {
                output.warning(&format!(
                    "{:?} cannot hold custody yet, so no credential can be issued: {}",
                    answers.custody, problem.detail
                ));
                output.advice(&format!(
                    "make that place, or name another one in custody of {}; then nhi doctor",
                    file.display()
                ));
            }
            Ok(Some(problem)) => {
                output.warning(&problem.detail);
                output.advice(problem.next.as_deref().unwrap_or_default());
            }
            Ok(None) => {}
        }
        output.hint(
            "Keep the realm's key where you keep other secrets, and give it to CI as a file or, with\n\
             key = { env = \"NHI_REALM_KEY\" }, as a variable. Whoever has it can forge our marks;\n\
             without it fingerprints and marks cannot be checked. It is never in state or Git.",
        );
        output.hint(
            "Nobody is asked yet before power is given. When somebody is to sign first: write policy.hcl\n\
             with a member review (examples/review/day-one has one), name it in nhi.hcl with\n\
             policy = { file = \"policy.hcl\" }, and run nhi policy check.",
        );
        // Where it was named for this command alone, the next one has to be told too.
        let named = config.is_some() || self.dir.is_some();
        let named = named.then(|| format!(" --config {}", shell_word(&file.display().to_string())));
        output.hint(&format!("Next: nhi doctor{}", named.unwrap_or_default()));
        Ok(Exit::Clean)
    }

    /// The file to write: where every other command will look for it.
    fn file(&self, config: Option<&str>, variable: Option<&str>) -> Result<PathBuf, Problem> {
        match (config, &self.dir) {
            (Some(_), Some(_)) => Err(Problem::new("E-INIT-PLACE", "Two places are named")
                .detail("--config names the file to write, and --dir a folder for it.")
                .next("leave one of them out")),
            (Some(file), None) => Ok(PathBuf::from(file)),
            (None, Some(folder)) => Ok(folder.join(wiring::FILE_NAME)),
            (None, None) => Ok(PathBuf::from(variable.unwrap_or(wiring::FILE_NAME))),
        }
    }

    fn answers(&self) -> Result<Answers, Problem> {
        let given = [
            ("--credential-env", &self.credential_env),
            ("--custody-credential-env", &self.custody_credential_env),
        ];
        for (flag, name) in given {
            name.as_deref().map_or(Ok(()), |name| is_variable(name, flag))?;
        }
        let first = Connection::ask(
            &Flags {
                platform: ("--platform", self.platform.as_deref()),
                name: ("--name", self.name.as_deref()),
                place: ("--address", self.address.as_deref()),
                variable: ("--credential-env", self.credential_env.as_deref()),
                ca_file: ("--ca-file", self.ca_file.as_deref()),
            },
            |platform| !platform.kinds().is_empty(),
        )?;
        let second = if first.platform.not_custody().is_none() {
            self.refuse_unused(&first.name)?;
            None
        } else {
            let flags = Flags {
                platform: ("--custody-platform", self.custody_platform.as_deref()),
                name: ("--custody-name", self.custody_name.as_deref()),
                place: ("--custody-address", self.custody_address.as_deref()),
                variable: ("--custody-credential-env", self.custody_credential_env.as_deref()),
                ca_file: ("--custody-ca-file", self.custody_ca_file.as_deref()),
            };
            let second = Connection::ask(&flags, |platform| platform.not_custody().is_none())?;
            if second.name == first.name {
                return Err(Problem::new("E-INIT-NAME", "Two connections of one name")
                    .detail(format!("Both are called {:?}.", first.name))
                    .next("pass another one to --custody-name"));
            }
            Some(second)
        };
        let about = "the folder where unfinished rotations are kept";
        let usual = second.as_ref().unwrap_or(&first).platform.usual().custody;
        let custody = ask(self.custody.as_deref(), "--custody", about, Some(usual))?;
        Ok(Answers { first, second, custody })
    }
}

impl Init {
    /// What to type next, with all that was typed already.
    fn with_given(&self, mut problem: Problem, config: Option<&str>) -> Problem {
        if problem.code != "E-INIT-ASK" {
            return problem;
        }
        let config = config.map(str::to_owned);
        let dir = self.dir.as_ref().map(|dir| dir.display().to_string());
        let flags = [
            ("--config", &config),
            ("--dir", &dir),
            ("--platform", &self.platform),
            ("--name", &self.name),
            ("--address", &self.address),
            ("--credential-env", &self.credential_env),
            ("--ca-file", &self.ca_file),
            ("--custody", &self.custody),
            ("--custody-platform", &self.custody_platform),
            ("--custody-name", &self.custody_name),
            ("--custody-address", &self.custody_address),
            ("--custody-credential-env", &self.custody_credential_env),
            ("--custody-ca-file", &self.custody_ca_file),
        ];
        let mut line = "nhi init".to_owned();
        for (flag, value) in flags {
            if let Some(value) = value {
                line += &format!(" {flag} {}", shell_word(value));
            }
        }
        if self.offline {
            line += " --offline";
        }
        problem.next = problem.next.map(|more| format!("{line} {more}"));
        problem
    }

    /// What was asked for and would not be done is an error, and no surprise later.
    fn refuse_unused(&self, first: &str) -> Result<(), Problem> {
        let unused = [
            ("--custody-platform", &self.custody_platform),
            ("--custody-name", &self.custody_name),
            ("--custody-address", &self.custody_address),
            ("--custody-credential-env", &self.custody_credential_env),
            ("--custody-ca-file", &self.custody_ca_file),
        ];
        let Some((flag, _)) = unused.into_iter().find(|(_, given)| given.is_some()) else {
            return Ok(());
        };
        Err(Problem::new("E-INIT-UNUSED", "A second connection that would not be made")
            .detail(format!(
                "{flag} is given, and {first:?} is a sink: unfinished rotations are kept in it."
            ))
            .next("leave --custody-… out, all but --custody; add further connections to nhi.hcl by hand"))
    }
}

/// What was given for one connection, each with the flag that gives it.
struct Flags<'a> {
    platform: (&'static str, Option<&'a str>),
    name: (&'static str, Option<&'a str>),
    place: (&'static str, Option<&'a str>),
    variable: (&'static str, Option<&'a str>),
    ca_file: (&'static str, Option<&'a str>),
}

/// One connection as it will be written.
struct Connection {
    platform: &'static dyn Platform,
    name: String,
    /// Its address or folder.
    place: String,
    /// The variable with our credential, where it needs one.
    variable: Option<String>,
    /// Who signs its certificate, where the machine does not know them.
    ca_file: Option<String>,
    /// Who answered, where somebody was asked: it is pinned.
    tenant: Option<String>,
}

impl Connection {
    fn ask(flags: &Flags<'_>, fits: impl Fn(&dyn Platform) -> bool) -> Result<Connection, Problem> {
        let fitting: Vec<&'static dyn Platform> =
            wiring::platforms().into_iter().filter(|platform| fits(*platform)).collect();
        let names: Vec<&str> = fitting.iter().map(|platform| platform.name()).collect();
        let (flag, given) = flags.platform;
        let named = ask(given, flag, &names.join(" or "), names.first().copied())?;
        let Some(platform) = fitting.into_iter().find(|platform| platform.name() == named) else {
            return Err(Problem::new("E-INIT-PLATFORM", "No such platform")
                .detail(format!("{named:?} is none of: {}.", names.join(", ")))
                .next(format!("pass one of them to {flag}")));
        };
        let usual = platform.usual();
        let name = ask(flags.name.1, flags.name.0, "the connection's name", Some(usual.name))?;
        if !wiring::is_connection_name(&name) {
            return Err(Problem::new("E-INIT-NAME", "A connection cannot be called so")
                .detail(format!("{name:?}: its name has {}.", wiring::CONNECTION_NAME))
                .next(format!("pass another name to {}", flags.name.0)));
        }
        let about = format!("its {}", place_of(platform));
        let place = ask(flags.place.1, flags.place.0, &about, usual.place)?;
        if place_of(platform) == "address"
            && !["https://", "http://"].iter().any(|scheme| place.starts_with(scheme))
        {
            return Err(Problem::new("E-INIT-ADDRESS", "This is no address")
                .detail(format!("{place:?} does not begin with https:// or http://."))
                .next(format!("pass the whole address to {}", flags.place.0)));
        }
        let form = if in_two_parts(platform) { ", as ID:SECRET" } else { "" };
        let about = format!("the environment variable that holds our credential for it{form}");
        let variable = usual
            .variable
            .map(|usual| ask(flags.variable.1, flags.variable.0, &about, Some(usual)))
            .transpose()?;
        if let Some(name) = &variable {
            is_variable(name, flags.variable.0)?;
        }
        let ca_file = flags.ca_file.1.map(str::to_owned);
        if ca_file.is_some() && !takes_ca_file(platform) {
            return Err(Problem::new("E-INIT-CA-FILE", "This platform speaks no TLS")
                .detail(format!("{named} has no ca_file."))
                .next(format!("leave {} out", flags.ca_file.0)));
        }
        Ok(Connection { platform, name, place, variable, ca_file, tenant: None })
    }

    fn hcl(&self) -> String {
        let mut lines = vec![(place_of(self.platform), quoted(&self.place))];
        if let Some(variable) = &self.variable {
            lines.push(("credential", format!("{{ env = {} }}", quoted(variable))));
        }
        if let Some(file) = &self.ca_file {
            lines.push(("ca_file", quoted(file)));
        }
        if let Some(tenant) = &self.tenant {
            lines.push(("tenant", quoted(tenant)));
        }
        let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let body: String =
            lines.iter().map(|(name, value)| format!("      {name:width$} = {value}\n")).collect();
        let body = match &self.variable {
            Some(variable) if in_two_parts(self.platform) => format!(
                "      # {variable} holds ID:SECRET. In two variables it is\n      \
                 # credential = {{ access_key = {{ id = {{ env = \"…\" }}, secret = {{ env = \"…\" }} }} }}\n{body}"
            ),
            _ => body,
        };
        format!(
            "  {} = {{\n    {} = {{\n{body}    }}\n  }}\n",
            quoted(&self.name),
            self.platform.name()
        )
    }
}

/// Refuses what is no variable's name. It may be the secret, and is not repeated.
fn is_variable(name: &str, flag: &str) -> Result<(), Problem> {
    if wiring::is_variable_name(name) {
        return Ok(());
    }
    Err(Problem::new("E-INIT-VARIABLE", "This is no variable's name")
        .detail(format!("What was given has not {}.", wiring::VARIABLE_NAME))
        .next(format!("pass the name of the variable that holds it to {flag}")))
}

/// Whether our own credential there is an id and a secret.
fn in_two_parts(platform: &dyn Platform) -> bool {
    platform.own_credential() == connector::OwnCredential::AccessKey
}

/// Whether a connection of a platform can be told who signs its server's certificate.
fn takes_ca_file(platform: &dyn Platform) -> bool {
    platform.connection_fields().iter().any(|field| field.name == "ca_file")
}

/// The setting that says where a platform's connection is: its address or its folder.
fn place_of(platform: &dyn Platform) -> &'static str {
    platform
        .connection_fields()
        .iter()
        .find(|field| field.required)
        .map_or("address", |one| one.name)
}

/// A file that was named where we are: its whole path, and how it is named from `folder`, which need
/// not be there yet. One that is only beside the configuration was named from there.
fn paths_of(folder: &Path, given: &str) -> Result<(String, String), Problem> {
    let whole = |path: &Path| {
        let path = std::path::absolute(path).map_err(|error| {
            Problem::new("E-INIT-CA-FILE", "This is no path")
                .detail(format!("{}: {error}", path.display()))
        })?;
        Ok::<_, Problem>(path)
    };
    let text = |path: &Path| path.display().to_string();
    let path = Path::new(given);
    if !path.exists() && folder.join(path).exists() {
        return Ok((text(&whole(&folder.join(path))?), given.to_owned()));
    }
    let here = whole(path)?;
    if path.is_absolute() || folder.as_os_str().is_empty() {
        return Ok((text(&here), given.to_owned()));
    }
    // Only what is named from a folder below is the same wherever all of it is moved.
    let plain = |path: &Path| {
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    let linked = folder.ancestors().any(Path::is_symlink);
    if !plain(folder) || !plain(path) || linked {
        return Ok((text(&here), text(&here)));
    }
    let parts = |path: &Path| -> Vec<std::ffi::OsString> {
        let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
        parts.map(|part| part.as_os_str().to_owned()).collect()
    };
    let (of_folder, of_file) = (parts(folder), parts(path));
    let common = of_folder.iter().zip(&of_file).take_while(|(a, b)| a == b).count();
    let up = of_folder[common..].iter().map(|_| "..".into());
    let from_there: PathBuf = up.chain(of_file[common..].iter().cloned()).collect();
    Ok((text(&here), text(&from_there)))
}

/// A value as a shell reads it as one word.
fn shell_word(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@%+=,".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// A flag's value, or the answer to a question where somebody can be asked.
fn ask(
    given: Option<&str>,
    flag: &str,
    about: &str,
    usual: Option<&str>,
) -> Result<String, Problem> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Problem::new("E-INIT-ASK", "A question without anybody to answer it")
            .detail(format!("{flag} is not given ({about}), and standard input is no terminal."))
            .next(format!("{flag} {}", usual.unwrap_or("…"))));
    }
    loop {
        let proposed = usual.map(|usual| format!(" [{usual}]")).unwrap_or_default();
        let _ = write!(anstream::stderr(), "{about}{proposed}: ");
        let _ = anstream::stderr().flush();
        let mut line = String::new();
        let read = stdin.lock().read_line(&mut line).map_err(|error| {
            Problem::new("E-INIT-ASK", "The answer could not be read").detail(error.to_string())
        })?;
        match (line.trim(), usual) {
            ("", Some(usual)) => return Ok(usual.to_owned()),
            ("", None) if read == 0 => {
                return Err(Problem::new("E-INIT-ASK", "A question without an answer")
                    .detail(format!("{flag} is needed ({about}).")));
            }
            ("", None) => (),
            (line, _) => return Ok(line.to_owned()),
        }
    }
}

struct Answers {
    first: Connection,
    /// Where unfinished rotations are kept, if not there.
    second: Option<Connection>,
    /// The folder in it.
    custody: String,
}

impl Answers {
    fn connections_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        std::iter::once(&mut self.first).chain(&mut self.second)
    }

    fn hcl(&self, realm: &str) -> String {
        let keeps = self.second.as_ref().unwrap_or(&self.first);
        format!(
            "# What nhi and its Terraform provider connect to. No secret stands in here: only where it is.\n\
             connections = {{\n{}{}}}\n\n\
             # Where unfinished rotations and management credentials are kept.\n\
             custody = {{ connection = {}, path = {} }}\n\n\
             # Its key makes our marks on the platforms our own. Keep it; never commit it.\n\
             realm = {{ id = {}, key = {{ file = \"{KEY_FILE}\" }} }}\n\n\
             ledger = {{ sqlite = {{ path = \"nhi.db\" }} }}\n",
            self.first.hcl(),
            self.second.as_ref().map(Connection::hcl).unwrap_or_default(),
            quoted(&keeps.name),
            quoted(&self.custody),
            quoted(realm),
        )
    }
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

/// Writes two files that are of no use alone.
fn write_both(first: (&Path, &str, u32), second: (&Path, &str, u32)) -> Result<(), Problem> {
    write_new(first.0, first.1, first.2)?;
    write_new(second.0, second.1, second.2).inspect_err(|_| {
        let _ = fs::remove_file(first.0);
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new("E-INIT-WRITE", "A file could not be written")
        .detail(format!("{}: {error}", path.display()))
        .next("name a folder that you may write to with --dir")
}

/// The key and the ledger are not for the repository.
fn keep_out_of_git(folder: &Path) -> Result<(), Problem> {
    let path = folder.join(".gitignore");
    let have = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|error| cannot_write(&path, &error))?,
    };
    // What is no UTF-8 in it is somebody's all the same: it is added to, and never written anew.
    let lines = String::from_utf8_lossy(&have);
    let missing: Vec<&str> = [KEY_FILE, "nhi.db*"]
        .into_iter()
        .filter(|line| !lines.lines().any(|had| had.trim() == *line))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let glue = if have.is_empty() || have.ends_with(b"\n") { "" } else { "\n" };
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{glue}{}\n", missing.join("\n")).as_bytes()))
        .map_err(|error| cannot_write(&path, &error))
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn bao() -> Connection {
        Connection {
            platform: wiring::platform("openbao").unwrap(),
            name: "bao".into(),
            place: "http://127.0.0.1:8200".into(),
            variable: Some("BAO_TOKEN".into()),
            ca_file: None,
            tenant: None,
        }
    }

    fn answers() -> Answers {
        Answers { first: bao(), second: None, custody: "secret/nhi".into() }
    }

    fn read(text: &str) -> wiring::Config {
        wiring::Config::read(&wiring::Node::parse_hcl(text).unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_can_be_read() {
        let first = Connection { tenant: Some("cluster-1".into()), ..bao() };
        let config = read(&Answers { first, ..answers() }.hcl("k3x9q2"));
        assert_eq!(config.connections["bao"].tenant.as_deref(), Some("cluster-1"));
        assert_eq!(config.custody.unwrap().path, "secret/nhi");
    }

    #[test]
    fn a_platform_that_is_no_sink_gets_a_second_connection_that_is_one() {
        let ask = |words: &[&str]| {
            let words = ["init", "--platform", "oauth", "--address", "https://id.acme.example"]
                .iter()
                .chain(["--name", "id", "--credential-env", "ID_TOKEN"].iter())
                .chain(words);
            let matches =
                Init::augment_args(clap::Command::new("init")).try_get_matches_from(words);
            Init::from_arg_matches(&matches.unwrap()).unwrap().answers()
        };
        let wrong = ask(&[
            "--custody-platform",
            "openbao",
            "--custody-name",
            "safe",
            "--custody-address",
            "bao.acme.example",
        ]);
        assert_eq!(wrong.err().unwrap().code, "E-INIT-ADDRESS");
        for (platform, place) in [("openbao", "https://bao.acme.example"), ("file", "/srv/nhi")] {
            let words = ["--custody-platform", platform, "--custody-name", "safe"];
            let more = [
                "--custody-address",
                place,
                "--custody-credential-env",
                "SAFE",
                "--custody",
                "x/y",
            ];
            let mut answers = ask(&[&words[..], &more[..]].concat()).ok().unwrap();
            for (one, tenant) in answers.connections_mut().zip(["https://id.acme.example", "c1"]) {
                one.tenant = Some(tenant.into());
            }
            let config = read(&answers.hcl("k3x9q2"));
            let pinned = |name: &str| config.connections[name].tenant.as_deref();
            assert_eq!(
                [pinned("id"), pinned("safe")],
                [Some("https://id.acme.example"), Some("c1")]
            );
            let custody = config.custody.unwrap();
            assert_eq!((custody.connection.as_str(), custody.path.as_str()), ("safe", "x/y"));
            assert!(config.connections["safe"].platform.is_sink());
        }
        // Without it nothing is written that could not be used.
        let Err(problem) = ask(&[]) else { panic!("it was not asked") };
        assert!(problem.detail.contains("--custody-platform"), "{problem}");
    }

    #[test]
    fn a_sink_that_cannot_be_custody_gets_a_second_connection_that_can() {
        let words = ["init", "--platform", "aws_iam", "--address", "https://iam.amazonaws.com"];
        let more = ["--name", "aws", "--credential-env", "KEY", "--custody", "x"];
        let ask = |extra: &[&str]| {
            let all = [&words[..], &more[..], extra].concat();
            let matches = Init::augment_args(clap::Command::new("init")).try_get_matches_from(all);
            Init::from_arg_matches(&matches.unwrap()).unwrap().answers()
        };
        let problem = ask(&["--custody-platform", "aws_iam"]).err().unwrap();
        assert_eq!(problem.code, "E-INIT-PLATFORM", "{problem}");
        let place = ["--custody-platform", "file", "--custody-address", "/srv/nhi"];
        let answers = ask(&[&place[..], &["--custody-name", "safe"]].concat()).ok().unwrap();
        let config = read(&answers.hcl("k3x9q2"));
        assert_eq!(config.custody.unwrap().connection, "safe");
    }

    #[test]
    fn what_to_type_next_repeats_what_was_typed() {
        let words = ["init", "--dir", "a b", "--platform", "oauth", "--name", "id", "--offline"];
        let matches = Init::augment_args(clap::Command::new("init")).try_get_matches_from(words);
        let init = Init::from_arg_matches(&matches.unwrap()).unwrap();
        let asked = ask(None, "--custody", "a folder", Some("x")).err();
        // A terminal would be asked; what a machine is told is the same either way.
        let asked = asked.unwrap_or_else(|| Problem::new("E-INIT-ASK", "").next("--custody x"));
        let problem = init.with_given(asked, None);
        let next = problem.next.as_deref();
        let line = "nhi init --dir 'a b' --platform oauth --name id --offline --custody x";
        assert_eq!(next, Some(line));
    }

    #[test]
    fn a_credential_in_two_parts_says_its_form() {
        let platform = wiring::platform("aws_iam").unwrap();
        let one = Connection {
            platform,
            name: "aws".into(),
            place: "https://iam.amazonaws.com".into(),
            variable: Some("KEY".into()),
            ca_file: None,
            tenant: None,
        };
        let text = format!("connections = {{\n{}}}\n", one.hcl());
        assert!(text.contains("KEY holds ID:SECRET"), "{text}");
        read(&text);
    }

    #[test]
    fn a_second_connection_that_would_not_be_made_is_refused() {
        let words = ["init", "--platform", "openbao", "--address", "https://bao.acme.example"];
        let more = ["--name", "bao", "--credential-env", "TOKEN", "--custody", "secret/nhi"];
        let ask = |extra: &[&str]| {
            let all = [&words[..], &more[..], extra].concat();
            let matches = Init::augment_args(clap::Command::new("init")).try_get_matches_from(all);
            Init::from_arg_matches(&matches.unwrap()).unwrap().answers()
        };
        assert!(ask(&[]).is_ok());
        let pasted = ["--custody-credential-env", "s.hunter2"];
        let problem = ask(&pasted).err().unwrap();
        assert_eq!(problem.code, "E-INIT-VARIABLE");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
        let problem = ask(&["--custody-platform", "file"]).err().unwrap();
        assert!(problem.detail.contains("--custody-platform"), "{problem}");
    }

    #[test]
    fn every_platform_proposes_what_can_be_read() {
        for platform in wiring::platforms() {
            let usual = platform.usual();
            let one = Connection {
                platform,
                name: usual.name.into(),
                place: usual.place.unwrap_or("https://x.acme.example").into(),
                variable: usual.variable.map(str::to_owned),
                ca_file: None,
                tenant: None,
            };
            read(&format!("connections = {{\n{}}}\n", one.hcl()));
        }
    }

    #[test]
    fn a_private_authority_is_written_where_the_platform_takes_one() {
        let words = ["init", "--platform", "openbao", "--address", "https://bao.acme.example"];
        let more = ["--name", "bao", "--credential-env", "TOKEN", "--custody", "x/y"];
        let ask = |extra: &[&str]| {
            let all = [&words[..], &more[..], extra].concat();
            let matches = Init::augment_args(clap::Command::new("init")).try_get_matches_from(all);
            Init::from_arg_matches(&matches.unwrap()).unwrap().answers()
        };
        let config = read(&ask(&["--ca-file", "pki/ca.pem"]).ok().unwrap().hcl("k3x9q2"));
        assert_eq!(config.connections["bao"].settings.text("ca_file"), Some("pki/ca.pem"));
        let problem = ask(&["--custody-ca-file", "ca.pem"]).err().unwrap();
        assert_eq!(problem.code, "E-INIT-UNUSED", "{problem}");
        let flags = Flags {
            platform: ("--custody-platform", Some("file")),
            name: ("--custody-name", Some("safe")),
            place: ("--custody-address", Some("/srv/nhi")),
            variable: ("--custody-credential-env", None),
            ca_file: ("--custody-ca-file", Some("ca.pem")),
        };
        let problem = Connection::ask(&flags, |_| true).err().unwrap();
        assert_eq!(problem.code, "E-INIT-CA-FILE", "{problem}");
    }

    #[test]
    fn of_two_files_that_are_of_no_use_alone_none_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (key, config) = (folder.path().join("key"), folder.path().join("no/such/nhi.hcl"));
        assert!(write_both((&key, "k", 0o600), (&config, "c", 0o644)).is_err());
        assert!(!key.exists());
    }

    #[test]
    fn an_answer_cannot_break_out_of_its_quotes() {
        let place = "x\" } ${a} %{if b}\n";
        let hostile = Answers { first: Connection { place: place.into(), ..bao() }, ..answers() };
        let node = wiring::Node::parse_hcl(&hostile.hcl("k3x9q2")).unwrap();
        let address =
            node.member("connections").member("bao").member("openbao").member("address").clone();
        assert_eq!(address, wiring::Node::Text(place.into()));
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
        fs::write(folder.path().join(".gitignore"), b"/caf\xe9").unwrap();
        keep_out_of_git(folder.path()).unwrap();
        keep_out_of_git(folder.path()).unwrap();
        let lines = fs::read(folder.path().join(".gitignore")).unwrap();
        assert_eq!(lines, b"/caf\xe9\nnhi-realm.key\nnhi.db*\n");
    }
}
