//! Which servers a URL means: one, those of a cluster, or the one that sentinels know.

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    Pipeline, RedisError, RedisFuture, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    io::tcp::TcpSettings,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use super::connection::{ANSWER_WITHIN, CONNECT_WITHIN};

/// How often a cluster is asked again after a redirection or a server's failure, within one call.
const MOST_REDIRECTIONS: u32 = 4;

/// Where connections are opened to.
pub(super) enum Servers {
    /// One server.
    One(Box<Client>),
    /// A cluster, known by some of its nodes.
    Cluster(Box<ClusterClient>),
    /// Whichever server the sentinels call the master. They are asked at every connection.
    Sentinel(Box<Mutex<SentinelClient>>),
}

/// An open connection, on which calls at the same time are pipelined.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A URL that is none of the forms.
pub(super) enum WrongUrl {
    /// The library's words for it.
    Refused(RedisError),
    /// Ours.
    Because(&'static str),
}

impl From<RedisError> for WrongUrl {
    fn from(error: RedisError) -> Self {
        Self::Refused(error)
    }
}

/// The parts of `redis-cluster://user:password@a:1,b:2/rest`.
struct Several<'a> {
    login: Option<&'a str>,
    hosts: Vec<&'a str>,
    rest: Option<&'a str>,
    scheme: &'static str,
}

impl<'a> Several<'a> {
    fn of(url: &'a str, kind: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = match scheme.strip_suffix(kind)? {
            "redis-" => "redis",
            "rediss-" => "rediss",
            _ => return None,
        };
        let (authority, rest) = match rest.split_once('/') {
            Some((authority, rest)) => (authority, Some(rest)),
            None => (rest, None),
        };
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        Some(Self {
            login,
            hosts: hosts.split(',').collect(),
            rest,
            scheme,
        })
    }

    /// Each server as a URL of its own.
    fn each(&self, port: u16) -> Result<Vec<ConnectionInfo>, RedisError> {
        let login = self.login.map(|login| format!("{login}@"));
        let login = login.unwrap_or_default();
        let urls = self.hosts.iter().map(|host| {
            let named = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            let port = if named {
                String::new()
            } else {
                format!(":{port}")
            };
            format!("{}://{login}{host}{port}", self.scheme)
        });
        urls.map(IntoConnectionInfo::into_connection_info).collect()
    }

    fn tls(&self) -> Option<TlsMode> {
        (self.scheme == "rediss").then_some(TlsMode::Secure)
    }
}

impl Servers {
    /// The servers that this URL means; opens no connection. With `ca`, a certificate in PEM, no other authority is
    /// trusted.
    pub(super) fn of(url: &str, ca: Option<&[u8]>) -> Result<Self, WrongUrl> {
        let certificates = ca.map(|ca| TlsCertificates {
            client_tls: None,
            root_cert: Some(ca.to_vec()),
        });
        if let Some(cluster) = Several::of(url, "cluster") {
            if cluster
                .rest
                .is_some_and(|database| !matches!(database, "" | "0"))
            {
                return Err(WrongUrl::Because("a cluster has no databases but 0"));
            }
            let mut builder = ClusterClient::builder(cluster.each(6379)?)
                .connection_timeout(CONNECT_WITHIN)
                .response_timeout(ANSWER_WITHIN)
                .overall_response_timeout(Some(ANSWER_WITHIN))
                .retries(MOST_REDIRECTIONS)
                .tcp_settings(settings());
            if let Some(certificates) = certificates {
                builder = builder.certs(certificates);
            }
            return Ok(Self::Cluster(Box::new(builder.build()?)));
        }
        if let Some(sentinels) = Several::of(url, "sentinel") {
            return sentinel(&sentinels, certificates);
        }
        let info = url.into_connection_info()?.set_tcp_settings(settings());
        Ok(Self::One(Box::new(match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        })))
    }

    pub(super) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<Connection, RedisError> {
        let connect = async |client: &Client| {
            let connection = client.get_multiplexed_async_connection_with_config(config);
            connection.await.map(Connection::One)
        };
        match self {
            Self::One(client) => connect(client).await,
            Self::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
            Self::Sentinel(sentinels) => {
                let client = sentinels.lock().await.async_get_client().await?;
                connect(&client).await
            }
        }
    }
}

/// `redis-sentinel://user:password@a:26379,b:26379/master/database`: the login is for the servers; sentinels are asked
/// without one.
fn sentinel(url: &Several<'_>, certificates: Option<TlsCertificates>) -> Result<Servers, WrongUrl> {
    let (master, database) = match url.rest.unwrap_or_default().split_once('/') {
        Some((master, database)) => (master, Some(database)),
        None => (url.rest.unwrap_or_default(), None),
    };
    if master.is_empty() {
        return Err(WrongUrl::Because(
            "the name that the sentinels know the master by is missing after the hosts",
        ));
    }
    let sentinels = url.each(26379)?;
    let login = sentinels
        .first()
        .map(|info| info.redis_settings().clone())
        .unwrap_or_default();
    let addresses: Vec<ConnectionAddr> = sentinels.iter().map(|info| info.addr().clone()).collect();
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_tcp_settings(settings())
        .set_client_to_sentinel_tcp_settings(settings());
    if let Some(username) = login.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = login.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(database) = database {
        let database = database
            .parse()
            .map_err(|_| WrongUrl::Because("the database after the master's name is no number"))?;
        builder = builder.set_client_to_redis_db(database);
    }
    if let Some(tls) = url.tls() {
        builder = builder
            .set_client_to_redis_tls_mode(tls)
            .set_client_to_sentinel_tls_mode(tls);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    Ok(Servers::Sentinel(Box::new(Mutex::new(builder.build()?))))
}

/// A peer that vanished without a word is given up as soon as an answer is late, not after the kernel's quarter of an
/// hour.
fn settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(ANSWER_WITHIN);
    settings
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
