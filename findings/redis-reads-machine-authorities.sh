#!/usr/bin/env bash
# redis-rs: with a CA file of its own, a client over rustls still needs the machine's list of authorities to be sound
#
# Seen with redis 1.8.1 (features tokio-rustls-comp), 2026-11-29.
#
# Expected: a client that is given `root_cert` trusts that file and has no use for the machine's list.
# Seen: the file is all that is trusted, but the machine's list is read before. If one entry of it cannot be read (here
# SSL_CERT_FILE names a file that is not there), no connection is made, and the error speaks of that list.
#
# What to do: where a client has its own CA, see to it that SSL_CERT_FILE and SSL_CERT_DIR are unset or right.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
server=
cd "$folder"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost 2>/dev/null
printf 'subjectAltName=DNS:localhost\n' >names
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -out server.pem -days 2 -extfile names 2>/dev/null

# Answers every command with +OK, which is what a client needs to get ready.
cat >server.py <<'PYTHON'
import socketserver, ssl

class Answers(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            with context.wrap_socket(self.request, server_side=True) as client:
                while data := client.recv(65536):
                    client.sendall(b"+OK\r\n" * max(1, data.count(b"*")))
        except OSError:
            pass

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem", "server.key")
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answers)
server.daemon_threads = True
open("port.new", "w").write(str(server.server_address[1]))
import os
os.rename("port.new", "port")
server.serve_forever()
PYTHON
python3 server.py &
server=$!
until [[ -e port ]]; do sleep 0.1; done

mkdir -p client/src
cat >client/Cargo.toml <<'TOML'
[package]
name = "client"
version = "0.0.0"
edition = "2024"

[dependencies]
redis = { version = "=1.8.1", default-features = false, features = ["tokio-rustls-comp"] }
rustls = { version = "0.23", default-features = false, features = ["ring", "std"] }
tokio = { version = "1", features = ["rt", "macros"] }
TOML
cat >client/src/main.rs <<'RUST'
#[tokio::main(flavor = "current_thread")]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let url = format!("rediss://localhost:{}", std::fs::read_to_string("port").unwrap());
    let root_cert = Some(std::fs::read("ca.pem").unwrap());
    let tls = redis::TlsCertificates { client_tls: None, root_cert };
    let connected = match redis::Client::build_with_tls(url, tls) {
        Ok(client) => client.get_multiplexed_async_connection().await.map(|_| ()),
        Err(error) => Err(error),
    };
    println!("{}", connected.map_or_else(|error| error.to_string(), |()| "connected".to_owned()));
}
RUST
cargo build --quiet --manifest-path client/Cargo.toml

sound=$(env -u SSL_CERT_FILE -u SSL_CERT_DIR client/target/debug/client)
broken=$(env -u SSL_CERT_DIR SSL_CERT_FILE="$folder/none.pem" client/target/debug/client)
echo "the machine's list is sound:  $sound"
echo "the machine's list is broken: $broken"
[[ $sound == connected ]] || { echo "the server of this script is not understood"; exit 1; }
[[ $broken != connected && $broken == *none.pem* ]] || { echo "the finding is out of date"; exit 1; }
echo "seen: a client with a CA of its own depends on the machine's list"
