//! Servers that mean no good, all on this machine, and clients whose names lead where a test says.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use eywa_guard::{GuardedClient, Lookup, Policy};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// Where names lead, and how often that was asked.
#[derive(Clone, Default)]
pub struct Names {
    addresses: Arc<Mutex<Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    /// From now on every name leads to this address.
    pub fn lead_to(&self, address: IpAddr) {
        *self.addresses.lock().unwrap() = vec![address];
    }

    /// How often a name was looked up.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// A client that asks these names, and goes to this machine if it may.
    pub fn client(&self, loopback: bool) -> GuardedClient {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let names = self.clone();
        let lookup: Lookup = Arc::new(move |_| {
            names.asked.fetch_add(1, Ordering::SeqCst);
            let found = names.addresses.lock().unwrap().clone();
            Box::pin(async move { Ok(found) })
        });
        let policy = Policy {
            loopback,
            ..Policy::default()
        };
        GuardedClient::with_lookup(Arc::new(policy), lookup)
    }
}

/// What a server answers.
#[derive(Clone)]
pub enum Answer {
    /// Nothing: it counts who comes.
    Nothing,
    /// A redirect to itself for so many requests, and then to there; over and over.
    Redirect(&'static str, usize, String),
    /// More and more of this type, which is never enough.
    Endless,
    /// Bytes that unpack to many more, by gzip.
    Packed(Arc<[u8]>),
}

/// A server on the loopback. It ends with this value.
pub struct Server {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    came: AtomicUsize,
    asked: AtomicUsize,
    ended: AtomicUsize,
    longest: AtomicUsize,
}

impl Server {
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Counts::default());
        let counting = counts.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counting.came.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, address, answer.clone(), counting.clone()));
            }
        });
        Self {
            address,
            counts,
            serving,
        }
    }

    pub fn url(&self) -> Url {
        format!("http://{}/", self.address).parse().unwrap()
    }

    /// How many connections were made to it.
    pub fn came(&self) -> usize {
        self.counts.came.load(Ordering::SeqCst)
    }

    /// How many requests it was sent.
    pub fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    /// How many answers have come to an end, whoever ended them.
    pub fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::SeqCst)
    }

    /// The most bytes that anybody took of one answer.
    pub fn longest(&self) -> usize {
        self.counts.longest.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, own: SocketAddr, answer: Answer, counts: Arc<Counts>) {
    if let Answer::Nothing = answer {
        return;
    }
    let Some(head) = head_of(&mut stream).await else {
        return;
    };
    let turn = counts.asked.fetch_add(1, Ordering::SeqCst);
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let ok = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    if path.starts_with("/graph/") {
        // Where a file is, as Meta says it.
        let said = format!(r#"{{"url": "http://{own}/file", "mime_type": "image/png"}}"#);
        let length = said.len();
        let whole =
            format!("{ok}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{said}");
        let _ = stream.write_all(whole.as_bytes()).await;
        return;
    }
    let kind = media_type(&head);
    let taken = match answer {
        Answer::Nothing => 0,
        Answer::Redirect(status, hops, target) => {
            let to = if (turn + 1).is_multiple_of(hops) {
                target
            } else {
                format!("http://{own}/hop/{turn}")
            };
            let whole = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
            );
            let _ = stream.write_all(whole.as_bytes()).await;
            0
        }
        Answer::Endless => {
            let head = format!("{ok}content-type: {kind}\r\n\r\ndata: \"");
            let _ = stream.write_all(head.as_bytes()).await;
            let piece = vec![b'x'; 64 * 1024];
            let mut taken = 0;
            while stream.write_all(&piece).await.is_ok() {
                taken += piece.len();
            }
            taken
        }
        Answer::Packed(packed) => {
            let head = format!(
                "{ok}content-type: {kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                packed.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&packed).await;
            0
        }
    };
    counts.longest.fetch_max(taken, Ordering::SeqCst);
    counts.ended.fetch_add(1, Ordering::SeqCst);
}

/// The type that is asked for, if it is one that is read piece by piece.
fn media_type(head: &str) -> &'static str {
    let accept = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("accept: ")
                .map(str::to_owned)
        })
        .unwrap_or_default();
    if accept == "text/event-stream" {
        "text/event-stream"
    } else if accept.contains("amazon.eventstream") {
        "application/vnd.amazon.eventstream"
    } else {
        "application/json"
    }
}

/// The head of a request, its body read too.
async fn head_of(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            let body = read.len() - read.windows(4).position(|four| four == b"\r\n\r\n")? - 4;
            if body >= length {
                return Some(head.to_owned());
            }
        }
        match stream.read(&mut piece).await.ok()? {
            0 => return None,
            count => read.extend_from_slice(&piece[..count]),
        }
    }
}

/// So many mebibytes of zeros, as the `gzip` of the machine compresses them.
pub fn packed(mebibytes: usize) -> Arc<[u8]> {
    let mut gzip = Command::new("gzip")
        .args(["--best", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut zeros = gzip.stdin.take().unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..mebibytes {
            zeros.write_all(&vec![0; 1024 * 1024]).unwrap();
        }
    });
    let packed = gzip.wait_with_output().unwrap().stdout;
    writing.join().unwrap();
    packed.into()
}
