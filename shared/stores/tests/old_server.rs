//! A server of before lightweight UPDATE is refused, with the remedy. Debian's package `clickhouse-server` (18.16) is
//! one; without it the test says that it was skipped.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use weldfleet_settings::Settings;
use weldfleet_stores::{Class, migrate};

const PROGRAM: &str = "/usr/sbin/clickhouse-server";

struct OldServer {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl OldServer {
    /// `None` if the machine has none.
    fn start() -> Option<Self> {
        // It knows no --version; a server of today does.
        let version = Command::new(PROGRAM).arg("--version").output().ok()?;
        if version.status.success() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let (port, at) = (free_port(), folder.path().display().to_string());
        fs::write(
            folder.path().join("config.xml"),
            format!(
                "<yandex><logger><level>warning</level><console>1</console></logger><http_port>{port}</http_port>\
                 <tcp_port>{}</tcp_port><listen_host>127.0.0.1</listen_host><path>{at}/data/</path><tmp_path>{at}/tmp/</tmp_path>\
                 <users_config>users.xml</users_config><default_profile>default</default_profile>\
                 <default_database>default</default_database><mark_cache_size>1000000</mark_cache_size></yandex>",
                free_port()
            ),
        )
        .unwrap();
        fs::write(
            folder.path().join("users.xml"),
            "<yandex><profiles><default/></profiles><quotas><default/></quotas><users><default><password></password>\
             <networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></default></users></yandex>",
        )
        .unwrap();
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", PROGRAM])
            .arg(format!("--config-file={at}/config.xml"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "the old server does not come up"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            _folder: folder,
        })
    }
}

impl Drop for OldServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_server_without_lightweight_update_is_refused_with_the_remedy() {
    let Some(server) = OldServer::start() else {
        weldfleet_testkit::skip(
            "old_clickhouse",
            "no ClickHouse 18 here; Debian's package clickhouse-server is one",
        );
        return;
    };
    let mut settings = Settings::default();
    settings.clickhouse.url = server.url.clone();
    settings.mysql.enabled = false;
    let error = migrate::plan(&settings).await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert_eq!(
        error.chain(),
        "clickhouse server is version 18.16, which has no lightweight UPDATE; upgrade it to 25.7 or newer; \
         results cannot be written back atomically without it"
    );
}
