//! The way from one process to a service, which can be cut while others go on reaching it.

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A port of its own in front of a service's. Until it is dropped.
pub struct Proxy {
    port: u16,
    whole: watch::Sender<bool>,
}

impl Proxy {
    /// Listens on loopback, in front of `port` there.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("bound").port();
        let (whole, is_whole) = watch::channel(true);
        tokio::spawn(async move {
            let mut gone = is_whole.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    _ = gone.wait_for(|_| false) => return,
                };
                // Where it is cut the connection ends at once.
                if let Ok((near, _)) = accepted
                    && *is_whole.borrow()
                {
                    tokio::spawn(carry(near, port, is_whole.clone()));
                }
            }
        });
        Self { port: own, whole }
    }

    /// What leads to the service, led through here.
    pub fn through(&self, url: &str, port: u16) -> String {
        let led = url.replace(&format!(":{port}"), &format!(":{}", self.port));
        assert_ne!(led, url, "port {port}");
        led
    }

    /// Connections end, and no new one lasts.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// New connections reach the service again.
    pub fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(mut near: TcpStream, port: u16, mut is_whole: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = is_whole.wait_for(|whole| !whole) => {}
    }
}
