//! TLS to one server, through Sentinel and to a Cluster; every server asks for a client's certificate.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use weldfleet_queue::{Options, Queue, QueueError};
use weldfleet_testkit::{Certificates, eventually};
use weldfleet_tls::{Files, Tls};

use crate::server;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn through_sentinel_both_sentinel_and_primary_speak_tls() {
    let certificates = Certificates::new();
    let (port, sentinel) = (server::free_port(), server::free_port());
    let _primary = Node::start(&certificates, port, &[]);
    answers(&queue(
        &format!("rediss://127.0.0.1:{port}"),
        &certificates,
        "ca.pem",
    ))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sentinel.conf");
    let monitor = format!("sentinel monitor main 127.0.0.1 {port} 1\n");
    std::fs::write(&file, monitor).unwrap();
    let file = file.display().to_string();
    let _sentinel = Node::start(&certificates, sentinel, &[&file, "--sentinel"]);

    let url = format!("rediss+sentinel://127.0.0.1:{sentinel}/main/0");
    answers(&queue(&url, &certificates, "ca.pem")).await;
    let stranger = queue(&url, &certificates, "other-ca.pem");
    let error = chain(&stranger.works().await.unwrap_err());
    assert!(
        error.contains("redis.tls_ca_file") && error.contains("other-ca.pem"),
        "{error}"
    );
}

#[tokio::test]
async fn a_redirection_within_a_cluster_is_followed_by_tls() {
    let certificates = Certificates::new();
    let ports = [server::free_port(), server::free_port()];
    let buses = [server::free_port(), server::free_port()];
    let _nodes = [0, 1].map(|node| {
        let bus = buses[node].to_string();
        let more = [
            "--cluster-enabled",
            "yes",
            "--tls-cluster",
            "yes",
            "--cluster-port",
            &bus,
        ];
        Node::start(&certificates, ports[node], &more)
    });
    let direct = ports.map(|port| {
        queue(
            &format!("rediss://127.0.0.1:{port}"),
            &certificates,
            "ca.pem",
        )
    });
    for (node, (first, last)) in [(0, 8191), (8192, 16383)].into_iter().enumerate() {
        eventually("the node answers", SOON, async || {
            direct[node].ping().await.ok()
        })
        .await;
        let mut own = redis::cmd("CLUSTER");
        own.arg("ADDSLOTSRANGE").arg(first).arg(last);
        direct[node].command(&own).await.unwrap();
    }
    let mut meet = redis::cmd("CLUSTER");
    meet.arg("MEET")
        .arg("127.0.0.1")
        .arg(ports[1])
        .arg(buses[1]);
    direct[0].command(&meet).await.unwrap();

    // The queue's slot is at one of the two, so one way in leads elsewhere.
    for port in ports {
        let url = format!("rediss+cluster://127.0.0.1:{port}");
        answers(&queue(&url, &certificates, "ca.pem")).await;
    }
}

async fn answers(queue: &Queue) {
    eventually("the queue works", SOON, async || queue.works().await.ok()).await;
}

fn queue(url: &str, certificates: &Certificates, ca: &str) -> Queue {
    let file = |name: &str| certificates.path(name);
    let files = Files {
        ca: &file(ca),
        cert: &file("client.pem"),
        key: &file("client.key"),
    };
    let mut options = Options::new(url, "test");
    options.tls = Some(Tls::read("redis", files).unwrap());
    Queue::new(options).unwrap()
}

fn chain(error: &QueueError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &format!(": {next}");
        cause = next.source();
    }
    text
}

/// A server without a plain port; it dies with the test.
struct Node {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Node {
    fn start(certificates: &Certificates, port: u16, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", &server::program()])
            .args(more)
            .args([
                "--port",
                "0",
                "--tls-port",
                &port.to_string(),
                "--tls-replication",
                "yes",
            ])
            .args(["--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path());
        for (option, name) in [
            ("--tls-cert-file", "server.pem"),
            ("--tls-key-file", "server.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ] {
            command.arg(option).arg(certificates.path(name));
        }
        let child = command
            .current_dir(Path::new("/"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            _folder: folder,
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
