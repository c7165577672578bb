//! `scheduler adopt`: the edges of `weldfleet-adoption`. Reads the old file, asks the servers, writes the new one.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use weldfleet_adoption::{
    Adoption, Answer, Facts, OldConfig,
    document::{self},
    facts::{MySqlColumn, SourceColumn, SourceTable},
    plan::name_in,
};
use weldfleet_service::{Exit, Failure, OrExit, errln, out, outln};
use weldfleet_settings::Settings;
use weldfleet_stores::{clickhouse, mysql};
use weldfleet_words::{Language, Words, words};

use super::languages;
use crate::args::Adopt;

/// Rows that units are told from.
const ROWS: u32 = 1000;
/// Most programs that are counted.
const PROGRAMS: u32 = 1000;
/// How long a server is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// Folder of the secret files, beside the new configuration.
const SECRETS: &str = "secrets";
/// The rules file, beside it too.
const RULES: &str = "rules.toml";

pub async fn run(config: Option<&Path>, options: Adopt) -> Result<Exit, Failure> {
    if config.is_some() {
        return Err(Failure::usage(
            "adopt reads no configuration; name the file to write with --out",
        ));
    }
    let shown = options.old.display().to_string();
    let bytes = fs::read(&options.old)
        .with_context(|| format!("cannot read `{shown}`"))
        .or_exit(Exit::Usage)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!(
            "`{shown}` is not UTF-8 (GBK, perhaps): save it as UTF-8, as `iconv -f GB18030 -t UTF-8` does"
        ))
    })?;
    let in_file = |error| Failure::new(Exit::Usage, anyhow!("`{shown}`: {error}"));
    let old = OldConfig::read(&text).map_err(in_file)?;
    let files = Files::beside(options.out);
    let no_utf8 = || Failure::usage("--out is not UTF-8; give a path that is");
    let secrets = files.secrets.to_str().ok_or_else(no_utf8)?;
    let rules = files.rules.to_str().ok_or_else(no_utf8)?;
    let languages = &languages(options.lang);

    let address = old.clickhouse_urls().map_err(in_file)?;
    let mut facts = Facts {
        clickhouse_url: address.urls[0].clone(),
        source: Err(String::new()),
        mysql: Err(String::new()),
    };
    // What the old configuration says alone is enough to ask the servers with.
    let first = Adoption::make(&old, &facts, secrets, rules).map_err(in_file)?;
    if !options.dry_run && !options.force {
        files.refuse_existing(&first)?;
    }
    let settings = load(&first, languages)?;
    (facts.clickhouse_url, facts.source) =
        ask_clickhouse(&settings, &old, &address.urls, languages).await;
    facts.mysql = ask_mysql(&settings, &old).await;

    let plan = Adoption::make(&old, &facts, secrets, rules).map_err(in_file)?;
    let document = document::render(&plan, &shown, languages, &Settings::knows);
    load(&plan, languages).map_err(|failure| {
        let error = failure
            .error
            .context("what would be written does not load; nothing was written");
        Failure::new(Exit::Failed, error)
    })?;
    let summary = document::summary(&plan, languages, &Settings::knows);
    if options.dry_run {
        out!("{document}");
        errln!("{}", summary.trim_end());
    } else {
        let kept = files.write(&plan, &document, options.force)?;
        out!("{summary}");
        say(&files.written(&plan), languages);
        for (path, before) in kept {
            let (path, before) = (path.display(), before.display());
            let said = words!(
                "what was in {path} is {before} now",
                "{path} 原来的内容已保存为 {before}"
            );
            say(&said, languages);
        }
        say(&check(&files.out), languages);
    }
    Ok(if plan.unasked.is_empty() {
        Exit::Done
    } else {
        Exit::Unreachable
    })
}

fn say(words: &Words, languages: &[Language]) {
    for line in words.lines(languages) {
        outln!("{line}");
    }
}

/// The settings as they would be read, with the secrets that are in no file yet.
fn load(plan: &Adoption, languages: &[Language]) -> Result<Settings, Failure> {
    let document = document::render(plan, "", languages, &Settings::knows);
    let secrets = plan.secrets.iter().map(|file| {
        let variable = format!("WELDFLEET__{}__PASSWORD", file.section.to_uppercase());
        (variable, file.secret.expose().to_owned())
    });
    Settings::from_text(&document, secrets).or_exit(Exit::Usage)
}

/// The address that answers, and what it says of the table; the first address where none answers. Who spoke TLS is never
/// asked without: the password would go in clear text, though a certificate alone may have been refused.
async fn ask_clickhouse(
    settings: &Settings,
    old: &OldConfig,
    urls: &[String],
    languages: &[Language],
) -> (String, Answer<SourceTable>) {
    let mut reasons = Vec::new();
    for url in urls {
        if urls[0].starts_with("https:") && url.starts_with("http:") {
            reasons.push(format!(
                "{url} is not asked, since the old service spoke TLS: name the authority in clickhouse.tls_ca_file, or write clickhouse.url"
            ));
            continue;
        }
        let account = match settings.clickhouse.at(url) {
            Ok(account) => account,
            Err(error) => {
                reasons.push(error.to_string());
                continue;
            }
        };
        let server = clickhouse::Server::new(&account).with_patience(PATIENCE);
        match server.ping().await {
            Ok(()) => {
                let table = ask_source(&server, settings, old, languages).await;
                return (url.clone(), table);
            }
            Err(error) => reasons.push(error.chain()),
        }
    }
    (urls[0].clone(), Err(reasons.join("; ")))
}

async fn ask_source(
    server: &clickhouse::Server,
    settings: &Settings,
    old: &OldConfig,
    languages: &[Language],
) -> Answer<SourceTable> {
    let Some((_, named)) = old.source_table() else {
        // Nobody tried; the plan itself says why.
        return Err(String::new());
    };
    let table = named.value;
    let said = |error: weldfleet_stores::StoreError| error.chain();
    let columns = clickhouse::survey::columns(server, &table)
        .await
        .map_err(said)?;
    if columns.is_empty() {
        return Err(format!(
            "no table `{table}` in database `{}`, or no right to see it",
            settings.clickhouse.database
        ));
    }
    let mut source = SourceTable {
        columns: columns
            .iter()
            .map(|column| SourceColumn {
                name: column.name.clone(),
                kind: column.kind.clone(),
            })
            .collect(),
        rows: Vec::new(),
        programs: Vec::new(),
    };
    let name = |ours| name_in(old, &source, ours);
    let (day, time, program) = (name("data_date"), name("ck_local_time"), name("program"));
    let latest = (day.as_deref(), time.as_deref());
    let found = clickhouse::survey::latest_rows(server, &table, &columns, latest, ROWS).await;
    let left_out;
    (source.rows, left_out) = found.map_err(said)?;
    if left_out > 0 {
        let said = words!(
            "{left_out} rows of `{table}` are dated after tomorrow or on no day; units are told from others",
            "`{table}` 有 {left_out} 行数据的日期晚于明天或不是日期；单位由其余数据判断",
        );
        for line in said.lines(languages) {
            errln!("{line}");
        }
    }
    if let (Some(day), Some(program)) = (&day, program) {
        let asked = (day.as_str(), program.as_str());
        source.programs = clickhouse::survey::counted(server, &table, &columns, asked, PROGRAMS)
            .await
            .map_err(said)?;
    }
    Ok(source)
}

async fn ask_mysql(settings: &Settings, old: &OldConfig) -> Answer<Vec<MySqlColumn>> {
    if !old.wants_mysql() {
        return Err(String::new());
    }
    let named = old.result_table().map(|(_, found)| found.value);
    let table = named.unwrap_or_else(|| settings.tables.result_table.clone());
    match mysql::survey::columns(&settings.mysql, &table).await {
        Ok(columns) => Ok(columns
            .into_iter()
            .map(|column| MySqlColumn {
                name: column.name,
                kind: column.kind,
                nullable: column.nullable,
                demanded: column.demanded,
            })
            .collect()),
        Err(error) => Err(error.chain()),
    }
}

/// The files to write.
struct Files {
    out: PathBuf,
    /// The folder of the secret ones.
    secrets: PathBuf,
    rules: PathBuf,
}

impl Files {
    fn beside(out: PathBuf) -> Self {
        Self {
            secrets: out.with_file_name(SECRETS),
            rules: out.with_file_name(RULES),
            out,
        }
    }

    /// Everything that would be written over, before a server is asked.
    fn refuse_existing(&self, plan: &Adoption) -> Result<(), Failure> {
        let secrets = plan.secrets.iter().map(|file| self.secrets.join(file.name));
        let existing: Vec<String> = [self.out.clone()]
            .into_iter()
            .chain(secrets)
            .chain(plan.rules.as_ref().map(|_| self.rules.clone()))
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let there = match existing.as_slice() {
            [] => return Ok(()),
            [one] => format!("{one} is"),
            several => format!("{} are", several.join(", ")),
        };
        Err(Failure::usage(format!(
            "{there} there already; --force writes over, --out names another file, --dry-run only shows"
        )))
    }

    /// Secrets first: a configuration that names a file which is not there would not load. Answers which files were
    /// there and what they are called now.
    fn write(
        &self,
        plan: &Adoption,
        document: &str,
        force: bool,
    ) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
        let parent = self.out.parent();
        if let Some(parent) = parent.filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make folder `{}`", parent.display()))?;
        }
        if !plan.secrets.is_empty() {
            match DirBuilder::new().mode(0o700).create(&self.secrets) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => made
                    .with_context(|| format!("cannot make folder `{}`", self.secrets.display()))?,
            }
        }
        for file in &plan.secrets {
            let path = self.secrets.join(file.name);
            write_file(&path, file.secret.expose(), 0o600, force)?;
        }
        let rules = plan.rules.as_deref().map(|text| (&self.rules, text));
        let mut kept = Vec::new();
        for (path, text) in rules.into_iter().chain([(&self.out, document)]) {
            let before = write_file(path, text, 0o644, force)?;
            kept.extend(before.map(|before| (path.clone(), before)));
        }
        Ok(kept)
    }

    fn written(&self, plan: &Adoption) -> Words {
        let out = self.out.display();
        let mut said = words!("written: {out}", "已写入：{out}");
        for file in &plan.secrets {
            let path = self.secrets.join(file.name);
            let path = path.display();
            said = said.and(&words!("{path} (mode 600)", "{path}（权限 600）"));
        }
        if plan.rules.is_some() {
            let path = self.rules.display();
            said = said.and(&words!("{path}", "{path}"));
        }
        said
    }
}

/// A new file under its own name, so that no other mode and no link stays. What was there gets another name first,
/// since a person's answers are in it, and that is answered; a secret is taken away.
fn write_file(path: &Path, text: &str, mode: u32, force: bool) -> Result<Option<PathBuf>, Failure> {
    let shown = path.display();
    let mut before = None;
    if force && path.symlink_metadata().is_ok() {
        let is_secret = mode == 0o600;
        let replaced = if is_secret {
            fs::remove_file(path)
        } else {
            fs::rename(path, before.insert(name_before(path)))
        };
        replaced.with_context(|| format!("cannot replace `{shown}`"))?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot write `{shown}`"))?;
    // The process's mask may have taken rights away from it, never added any; but a mask of 0 is no reason to trust it.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write `{shown}`"))?;
    Ok(before)
}

/// The first free one of `weldfleet.toml.before`, `.before.2` and so on: each may hold a person's answers.
fn name_before(path: &Path) -> PathBuf {
    let name = |end: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let mut before = name(".before".to_owned());
    let mut number = 2;
    while before.symlink_metadata().is_ok() {
        before = name(format!(".before.{number}"));
        number += 1;
    }
    before
}

/// Runs `worker check` with the new file and lets it speak for itself.
fn check(out: &Path) -> Words {
    let worker = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join("worker")))
        .filter(|worker| worker.is_file());
    match worker {
        None => words!(
            "`worker` is not beside this program; run `worker check` yourself",
            "`worker` 不在本程序旁；请自己运行 `worker check`",
        ),
        Some(worker) => run_check(&worker, out),
    }
}

fn run_check(worker: &Path, out: &Path) -> Words {
    outln!("\n$ worker --config {} check", out.display());
    let output = Command::new(worker)
        .arg("--config")
        .arg(out)
        .arg("check")
        .output();
    match output {
        Ok(output) => {
            out!("{}", String::from_utf8_lossy(&output.stdout));
            out!("{}", String::from_utf8_lossy(&output.stderr));
            let code = output.status.code().unwrap_or(-1);
            if output.status.success() {
                words!("worker check: everything works", "worker check：一切正常")
            } else {
                words!(
                    "worker check ends with {code}: what failed is above. Answer the lines with `?`, run `scheduler migrate --dry-run`, then \
                     `scheduler migrate`, and check again",
                    "worker check 的退出码为 {code}：失败项见上。请先处理带“？”的行，运行 `scheduler migrate --dry-run`，再运行 \
                     `scheduler migrate`，然后重新检查",
                )
            }
        }
        Err(error) => words!(
            "cannot run `worker check`: {error}",
            "无法运行 `worker check`：{error}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use weldfleet_testkit::{Certificates, Service, Services, TlsProxy};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn each_address_of_clickhouse_is_asked_in_its_own_way() {
        let services = Services::start(&[Service::ClickHouse]);
        let plain = services.port(Service::ClickHouse);
        let certificates = Certificates::new();
        let proxy = TlsProxy::start(plain, &certificates);
        let mut settings = Settings::default();
        let old = OldConfig::read("clickhouse: {host: h}").unwrap();
        let asked = async |settings: &Settings, urls: [String; 2]| {
            ask_clickhouse(settings, &old, &urls, &[Language::English])
                .await
                .0
        };

        let urls = ["https", "http"].map(|scheme| format!("{scheme}://127.0.0.1:{plain}"));
        settings.clickhouse = settings.clickhouse.at(&urls[0]).unwrap();
        assert_eq!(
            asked(&settings, urls.clone()).await,
            urls[0],
            "no password in clear text"
        );

        let urls = ["http", "https"].map(|scheme| format!("{scheme}://127.0.0.1:{}", proxy.port()));
        settings = Settings::default();
        settings.clickhouse.tls_ca_file = certificates.path("ca.pem");
        settings.clickhouse.tls_cert_file = certificates.path("client.pem");
        settings.clickhouse.tls_key_file = certificates.path("client.key");
        assert_eq!(asked(&settings, urls.clone()).await, urls[1]);
    }

    #[test]
    fn nothing_that_a_person_has_answered_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weldfleet.toml");
        let kept: Vec<Option<PathBuf>> = ["first", "second", "third", "fourth"]
            .map(|text| write_file(&path, text, 0o644, true).unwrap())
            .into();
        let name = |end: &str| folder.path().join(format!("weldfleet.toml{end}"));
        let names = [".before", ".before.2", ".before.3"].map(name);
        assert_eq!(kept[0], None);
        for ((kept, name), text) in kept[1..]
            .iter()
            .zip(&names)
            .zip(["first", "second", "third"])
        {
            assert_eq!(kept.as_ref(), Some(name));
            assert_eq!(fs::read_to_string(name).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "fourth");
        let secret = folder.path().join("password");
        for text in ["one", "two"] {
            assert_eq!(write_file(&secret, text, 0o600, true).unwrap(), None);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
        assert!(write_file(&path, "fifth", 0o644, false).is_err());
    }
}
