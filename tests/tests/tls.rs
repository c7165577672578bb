//! TLS to all three stores, with real certificates: a day through it, and each thing that may be wrong with them.
//!
//! Redis and MariaDB speak TLS themselves. The ClickHouse engine of the tests cannot, so a proxy speaks it for the
//! engine.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use weldfleet_tests::{
    Certificates, Fleet, Process, Service, Services, Shown, TlsProxy, agree::Truth, fleet::all_of,
};

const MINUTES: Duration = Duration::from_secs(120);
const STORES: [&str; 3] = ["clickhouse", "redis", "mysql"];

#[tokio::test(flavor = "multi_thread")]
async fn a_day_goes_through_tls_to_all_three() {
    let certificates = Certificates::new();
    let services = Services::start_encrypted(&Service::ALL, &[Service::MySql], Some(&certificates));
    // Whoever looks from outside goes to the engine and to Redis by their own ports.
    let clickhouse = TlsProxy::start(services.port(Service::ClickHouse), &certificates);
    let redis = TlsProxy::start(services.port(Service::Redis), &certificates);
    let mysql = services.port(Service::MySql);
    let mut fleet = Fleet::on(services, &[]).await;
    weldfleet_tests::mysql::MySql::new(&format!("mysql://root:root@127.0.0.1:{mysql}/mysql"))
        .execute_all(&[
            "CREATE USER known@'127.0.0.1' IDENTIFIED BY 'p' REQUIRE X509",
            "GRANT ALL ON weld.* TO known@'127.0.0.1'",
        ])
        .await;
    fleet.set(
        "clickhouse.url",
        &format!("https://127.0.0.1:{}", clickhouse.port()),
    );
    fleet.set(
        "redis.url",
        &format!("rediss://127.0.0.1:{}/0", redis.port()),
    );
    fleet.set(
        "mysql.url",
        &format!("mysql://known:p@127.0.0.1:{mysql}/weld"),
    );
    for store in STORES {
        trust(&mut fleet, store, &certificates, "ca.pem");
        identify(&mut fleet, store, &certificates);
    }

    fleet.migrate();
    fleet.simulate("today", 3000, &["--nok-rate", "0.05"]);
    let worker = fleet.worker();
    worker.ready().await;
    let _scheduler = fleet.scheduler();
    fleet.done(MINUTES).await;

    let truth = Truth::read(&fleet.clickhouse, "spot_records").await;
    assert!(truth.counts().nok > 20, "{:?}", truth.counts());
    truth.assert_mirrored(&fleet.mysql).await;
    let said = fleet.succeed("worker", &["check"]);
    assert!(said.contains("rediss://127.0.0.1"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_told_by_key_file_and_remedy() {
    let certificates = Certificates::new();
    let services = Services::start_encrypted(
        &Service::ALL,
        &[Service::Redis, Service::MySql],
        Some(&certificates),
    );
    let proxy = TlsProxy::start(services.port(Service::ClickHouse), &certificates);
    let plant = Plant {
        services: &services,
        certificates: &certificates,
        clickhouse: proxy.port(),
    };

    let folder = tempfile::tempdir().expect("temporary folder");
    let ca = certificates.path("ca.pem").display().to_string();
    let other = certificates.path("other-ca.pem").display().to_string();
    for (shown, trusted, known, words) in [
        (
            Shown::Good,
            "other-ca.pem",
            true,
            ["signed by nobody", "tls_ca_file", &other],
        ),
        (
            Shown::OtherName,
            "ca.pem",
            true,
            ["another name", ".url", &ca],
        ),
        (
            Shown::Expired,
            "ca.pem",
            true,
            ["has expired", "renew", &ca],
        ),
    ] {
        plant.show(shown);
        let settings = plant.encrypted(trusted, known);
        let check = plant.run("worker", &["check"], &settings);
        assert_eq!(check.status.code(), Some(3), "{}", all_of(&check));
        for store in STORES {
            let line = line_of(&check, store);
            for word in words {
                assert!(
                    line.contains(word),
                    "{shown:?}, {store}: no `{word}` in\n{line}"
                );
            }
        }
        // ClickHouse comes first there.
        let migrate = plant.run("scheduler", &["migrate", "--yes"], &settings);
        assert_eq!(migrate.status.code(), Some(3), "{}", all_of(&migrate));
        for word in words {
            assert!(
                all_of(&migrate).contains(word),
                "{shown:?}, migrate: {}",
                all_of(&migrate)
            );
        }
        // Who runs for long waits for its stores, and says for what.
        let mut command = plant.command("scheduler", &["run"], &settings);
        command.env("WELDFLEET__SCHEDULER__HTTP", "127.0.0.1:0");
        let start = Process::start(command, folder.path());
        start.logged(words[0], Duration::from_secs(30)).await;
    }

    // No client's certificate where the server wants one.
    plant.show(Shown::Good);
    let settings = plant.encrypted("ca.pem", false);
    let check = plant.run("worker", &["check"], &settings);
    for store in ["clickhouse", "redis"] {
        let line = line_of(&check, store);
        for word in [
            "wants a client's certificate",
            "tls_cert_file",
            "tls_key_file",
        ] {
            assert!(line.contains(word), "{store}: no `{word}` in\n{line}");
        }
    }
    // Whether MySQL wants one depends on the account, and it says no more than that it is refused.
    let root = format!(
        "mysql://root:root@127.0.0.1:{}/mysql",
        services.port(Service::MySql)
    );
    let demand = "ALTER USER weld@'127.0.0.1' REQUIRE X509";
    weldfleet_tests::mysql::MySql::new(&root)
        .execute(demand)
        .await;
    let check = plant.run("worker", &["check"], &settings);
    let line = line_of(&check, "mysql");
    assert!(
        line.contains("REQUIRE X509") && line.contains("mysql.tls_cert_file"),
        "{line}"
    );
    let check = plant.run("worker", &["check"], &plant.plain());
    let line = line_of(&check, "mysql");
    assert!(
        line.contains("REQUIRE SSL or X509") && line.contains("mysql.tls_ca_file"),
        "{line}"
    );

    // Plain text spoken to a port of TLS.
    for (store, remedy) in [("clickhouse", "https://"), ("redis", "rediss://")] {
        let line = line_of(&check, store);
        assert!(
            line.contains("speaks TLS") && line.contains(remedy),
            "{store}: {line}"
        );
    }

    // All as it should be: nothing of this is said.
    let good = plant.encrypted("ca.pem", true);
    let migrate = plant.run("scheduler", &["migrate", "--yes"], &good);
    assert!(migrate.status.success(), "{}", all_of(&migrate));
    let check = plant.run("worker", &["check"], &good);
    assert!(!all_of(&check).contains("tls_"), "{}", all_of(&check));
}

#[test]
fn tls_spoken_to_a_plain_port_is_told() {
    let certificates = Certificates::new();
    let services = Services::start_all();
    let plant = Plant {
        services: &services,
        certificates: &certificates,
        clickhouse: services.port(Service::ClickHouse),
    };
    // MariaDB starts with TLS of its own making from 11.4 on; this one says that it has none.
    let check = plant.run("worker", &["check"], &plant.encrypted("ca.pem", true));
    for (store, plain) in [
        ("clickhouse", "http://"),
        ("redis", "redis://"),
        ("mysql", "mysql.url"),
    ] {
        let line = line_of(&check, store);
        assert!(
            line.contains("TLS") && line.contains(plain),
            "{store}: {line}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_ends_the_program_at_its_start() {
    let certificates = Certificates::new();
    let services = Services::start(&[]);
    let key = certificates.path("client.key").display().to_string();
    let cert = certificates.path("client.pem").display().to_string();
    let missing = certificates.path("missing.pem").display().to_string();
    for (settings, says) in [
        (
            vec![("redis.tls_ca_file", missing.as_str())],
            ["redis.tls_ca_file", "missing.pem"],
        ),
        (
            vec![("redis.tls_ca_file", key.as_str())],
            ["redis.tls_ca_file", "client.key"],
        ),
        (
            vec![("redis.tls_cert_file", cert.as_str())],
            ["redis.tls_cert_file", "redis.tls_key_file"],
        ),
    ] {
        for (binary, arguments) in [("worker", ["check"]), ("scheduler", ["run"])] {
            let mut command = services.command(binary);
            command
                .args(arguments)
                .env("WELDFLEET__REDIS__URL", "rediss://127.0.0.1:1");
            for (name, value) in &settings {
                command.env(variable(name), value);
            }
            let output = command.output().expect("runs");
            assert_eq!(output.status.code(), Some(2), "{}", all_of(&output));
            for word in says {
                assert!(
                    all_of(&output).contains(word),
                    "no `{word}` in {}",
                    all_of(&output)
                );
            }
            assert!(!all_of(&output).contains("PRIVATE"), "{}", all_of(&output));
        }
    }
}

struct Plant<'a> {
    services: &'a Services,
    certificates: &'a Certificates,
    clickhouse: u16,
}

impl Plant<'_> {
    /// Makes the servers show another certificate.
    fn show(&self, shown: Shown) {
        self.certificates.show(shown);
        for service in [Service::Redis, Service::MySql] {
            self.services.stop(service);
            self.services.start_again(service);
        }
    }

    fn addresses(&self, s: &str) -> Vec<(String, String)> {
        let port = self.services.port(Service::Redis);
        [
            (
                "clickhouse.url",
                format!("http{s}://127.0.0.1:{}", self.clickhouse),
            ),
            ("redis.url", format!("redis{s}://127.0.0.1:{port}/0")),
            ("model.enabled", "false".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    fn plain(&self) -> Vec<(String, String)> {
        self.addresses("")
    }

    fn encrypted(&self, ca: &str, known: bool) -> Vec<(String, String)> {
        let mut settings = self.addresses("s");
        let file = |name: &str| self.certificates.path(name).display().to_string();
        for store in STORES {
            settings.push((format!("{store}.tls_ca_file"), file(ca)));
            if known {
                settings.push((format!("{store}.tls_cert_file"), file("client.pem")));
                settings.push((format!("{store}.tls_key_file"), file("client.key")));
            }
        }
        settings
    }

    fn command(&self, binary: &str, arguments: &[&str], settings: &[(String, String)]) -> Command {
        let mut command = self.services.command(binary);
        command.args(arguments);
        for (key, value) in settings {
            command.env(variable(key), value);
        }
        command
    }

    fn run(&self, binary: &str, arguments: &[&str], settings: &[(String, String)]) -> Output {
        self.command(binary, arguments, settings)
            .output()
            .expect("runs")
    }
}

fn variable(key: &str) -> String {
    format!("WELDFLEET__{}", key.replace('.', "__").to_uppercase())
}

fn trust(fleet: &mut Fleet, store: &str, certificates: &Certificates, ca: &str) {
    let file = |path: &Path| path.display().to_string();
    fleet.set(
        &format!("{store}.tls_ca_file"),
        &file(&certificates.path(ca)),
    );
}

fn identify(fleet: &mut Fleet, store: &str, certificates: &Certificates) {
    for (key, name) in [
        ("tls_cert_file", "client.pem"),
        ("tls_key_file", "client.key"),
    ] {
        let path = certificates.path(name).display().to_string();
        fleet.set(&format!("{store}.{key}"), &path);
    }
}

/// The line of a check that says what is wrong with a store.
fn line_of(check: &Output, store: &str) -> String {
    let all = all_of(check);
    let line = all
        .lines()
        .find(|line| line.split_whitespace().take(2).eq(["failed", store]));
    line.unwrap_or_else(|| panic!("nothing wrong with {store} in\n{all}"))
        .to_owned()
}
