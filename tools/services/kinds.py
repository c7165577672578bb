"""The three services: how each is prepared, started and seen to be ready. Nothing here remembers anything.

Which server runs is said by the environment: CLICKHOUSE_LAUNCHER and CLICKHOUSE_LIBRARY, REDIS_SERVER (a Redis or a
Valkey), MYSQL_SERVER (a MariaDB or a MySQL, as tools/parts.sh lays it out). The last two default to what is installed.
SERVICES_TLS_REDIS and SERVICES_TLS_MYSQL name a folder with ca.pem, server.pem, server.key, client.pem and client.key: that
server then speaks TLS (Redis nothing else, and it asks for a client's certificate). This ClickHouse engine cannot.
"""

import functools
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from process import Account, ServiceError


def program(*names: str) -> str:
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin")
        if found:
            return found
    raise ServiceError(f"{names[0]} is not installed; run tools/parts.sh")


def account_for(name: str, folder: Path, server: str) -> Account | None:
    """The account to drop to: none unless we are root, it exists, and it can reach `folder` and the program."""
    if os.getuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    if not all(parent.stat().st_mode & 0o001 for parent in (*folder.parents, *Path(server).parents)):
        return None
    return Account(entry.pw_uid, entry.pw_gid)


#: A proxy of the caller's environment is not for loopback.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def certificates(name: str) -> Path | None:
    folder = os.environ.get(f"SERVICES_TLS_{name.upper()}")
    return Path(folder) if folder else None


class Service:
    """One kind of service. `folder` is its own; it is created before `prepare`."""

    name: str
    #: Whether SIGTERM ends it; without, it is killed, which its data must survive.
    stops_gracefully = True

    def account(self, folder: Path) -> Account | None:
        return None

    def prepare(self, folder: Path) -> None:
        """Makes what the first start needs. Called before every start."""

    def argv(self, folder: Path, port: int) -> list[str]:
        raise NotImplementedError

    def environment(self, port: int) -> dict[str, str]:
        """What a client's shell needs in order to reach it."""
        raise NotImplementedError

    def ready(self, port: int) -> bool:
        raise NotImplementedError

    def version(self, port: int) -> str:
        """What the running server calls itself."""
        raise NotImplementedError


class Redis(Service):
    """With an append-only file and without eviction, as the queue requires; DEBUG is allowed from loopback."""

    name = "redis"

    def server(self) -> str:
        return os.environ.get("REDIS_SERVER") or program("redis-server")

    def account(self, folder: Path) -> Account | None:
        return account_for("redis", folder, self.server())

    def argv(self, folder: Path, port: int) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "enable-debug-command": "local",
            "daemonize": "no",
        }
        if folder := certificates(self.name):
            options |= {
                "port": "0",
                "tls-port": str(port),
                "tls-cert-file": str(folder / "server.pem"),
                "tls-key-file": str(folder / "server.key"),
                "tls-ca-cert-file": str(folder / "ca.pem"),
            }
        return [self.server()] + [word for key, value in options.items() for word in (f"--{key}", value)]

    def environment(self, port: int) -> dict[str, str]:
        scheme = "rediss" if certificates(self.name) else "redis"
        return {"WELDFLEET__REDIS__URL": f"{scheme}://127.0.0.1:{port}/0"}

    def _connect(self, port: int, timeout: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        folder = certificates(self.name)
        if not folder:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a test may show a wrong one
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
        return context.wrap_socket(connection)

    def ready(self, port: int) -> bool:
        with self._connect(port, 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")  # `-LOADING` while it reads its file

    def version(self, port: int) -> str:
        with self._connect(port, 5) as connection:
            connection.sendall(b"INFO server\r\nQUIT\r\n")
            lines = connection.makefile("r", encoding="utf-8", errors="replace").read().splitlines()
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        # Valkey keeps `redis_version` at the last one it was compatible with.
        return f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {facts['redis_version']}"


class ClickHouse(Service):
    """The engine out of libchdb with its own HTTP server. It knows no clean stop; what it has answered is durable.

    Users live in `users.xml` in the service's folder: this engine has no writeable store for them, so `CREATE USER`
    is refused. There are `default` (no password, all rights), `weld` (password `weld`, all rights) and `reader`
    (password `reader`, may only SELECT and SHOW). For others: stop the service, edit `users.xml`, start it again; a
    file that exists is left alone. As in a server's own config.xml, tables of `system` need a grant.
    """

    name = "clickhouse"
    stops_gracefully = False

    CONFIG = """<clickhouse>
  <users_config>users.xml</users_config>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>134217728</mark_cache_size>
  <index_mark_cache_size>67108864</index_mark_cache_size>
  <primary_index_cache_size>134217728</primary_index_cache_size>
  <max_thread_pool_size>1000</max_thread_pool_size>
  <max_connections>1024</max_connections>
  <keep_alive_timeout>30</keep_alive_timeout>
  <listen_host>127.0.0.1</listen_host>
  <access_control_improvements>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
  </access_control_improvements>
</clickhouse>
"""
    USERS = """<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    </default>
    <weld>
      <password>weld</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    </weld>
    <reader>
      <password>reader</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
      <grants><query>GRANT SELECT, SHOW ON *.*</query></grants>
    </reader>
  </users>
</clickhouse>
"""
    #: It must do something for ever, or it would exit.
    QUERY = (
        "SYSTEM START LISTEN HTTP; SELECT sleepEachRow(3) FROM numbers(100000000) "
        "SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0 FORMAT Null"
    )

    def prepare(self, folder: Path) -> None:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = min(max(machine * 2 // 5, 1 << 30), 4 << 30)
        (folder / "config.xml").write_text(self.CONFIG.format(memory=memory))
        if not (folder / "users.xml").exists():
            (folder / "users.xml").write_text(self.USERS)

    def argv(self, folder: Path, port: int) -> list[str]:
        return [
            os.environ["CLICKHOUSE_LAUNCHER"],
            os.environ["CLICKHOUSE_LIBRARY"],
            f"--config-file={folder / 'config.xml'}",
            f"--path={folder / 'data'}",
            f"--http_port={port}",
            "--listen_host=127.0.0.1",
            "--logger.console=1",
            "--logger.level=warning",
            "--multiquery",
            f"--query={self.QUERY}",
        ]

    def environment(self, port: int) -> dict[str, str]:
        return {"WELDFLEET__CLICKHOUSE__URL": f"http://127.0.0.1:{port}"}

    def ready(self, port: int) -> bool:
        try:
            with direct.open(f"http://127.0.0.1:{port}/ping", timeout=1) as answer:
                return answer.read().startswith(b"Ok.")
        except urllib.error.HTTPError:
            return False

    def version(self, port: int) -> str:
        with direct.open(f"http://127.0.0.1:{port}/?query=SELECT+version()", timeout=5) as answer:
            return f"ClickHouse {answer.read().decode().strip()}"


class MySQL(Service):
    """MariaDB or MySQL with a database `weld`, a user `weld` (password `weld`) that owns it and every database `weld_…`, and
    `root` (password `root`) for tests of grants. Strict mode, as MySQL 8 has by default."""

    name = "mysql"

    # A statement a line, in words that both know.
    BOOTSTRAP = """FLUSH PRIVILEGES;
CREATE DATABASE IF NOT EXISTS weld CHARACTER SET utf8mb4;
DROP USER IF EXISTS weld@'127.0.0.1', root@'127.0.0.1';
CREATE USER weld@'127.0.0.1' IDENTIFIED BY 'weld';
CREATE USER root@'127.0.0.1' IDENTIFIED BY 'root';
GRANT ALL ON weld.* TO weld@'127.0.0.1';
GRANT ALL ON `weld\\_%`.* TO weld@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
"""
    # What mariadb-install-db feeds to its own server.
    SYSTEM_TABLES = (
        "mariadb_system_tables.sql",
        "mariadb_performance_tables.sql",
        "mariadb_system_tables_data.sql",
        "fill_help_tables.sql",
        "maria_add_gis_sp_bootstrap.sql",
        "mariadb_sys_schema.sql",
    )

    def server(self) -> str:
        return os.environ.get("MYSQL_SERVER") or program("mariadbd")

    def account(self, folder: Path) -> Account | None:
        return account_for("mysql", folder, self.server())

    def _common(self, folder: Path) -> list[str]:
        # A tmpdir of its own: servers that share one give their temporary tables the same names.
        return ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder / 'tmp'}", *self._pathless(folder)]

    def _pathless(self, folder: Path) -> list[str]:
        user = [] if self.account(folder) or os.getuid() != 0 else ["--user=root"]
        if is_mariadb(self.server()):
            return ["--innodb-log-file-size=16M", *user]
        return ["--innodb-redo-log-capacity=16M", "--mysqlx=OFF", "--secure-file-priv=", *user]

    def prepare(self, folder: Path) -> None:
        done = folder / "prepared"
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        if account := self.account(folder):
            os.chown(temporary, account.uid, account.gid)
        if done.exists():
            return
        shutil.rmtree(folder / "data", ignore_errors=True)  # left by a preparation that was cut short
        server = [self.server(), *self._common(folder)]
        if not is_mariadb(self.server()):
            statements = folder / "bootstrap.sql"
            statements.write_text(self.BOOTSTRAP)
            self._run([*server, "--initialize-insecure", f"--init-file={statements}"], folder, b"")
        elif os.environ.get("MYSQL_SERVER"):
            (folder / "data").mkdir()
            share = Path(self.server()).parent / "root/usr/share/mariadb"
            tables = b"".join((share / name).read_bytes() for name in self.SYSTEM_TABLES)
            head = b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"
            self._run([*server, "--bootstrap"], folder, head + tables)
            self._run([*server, "--bootstrap"], folder, self.BOOTSTRAP.encode())
        else:
            # --force: it would refuse a machine whose own name cannot be looked up, which nothing here needs. It is a
            # shell script, and takes a path with a blank apart: hence a relative one, and tmpdir in the environment.
            install = [program("mariadb-install-db"), "--no-defaults", "--datadir=./data", *self._pathless(folder)]
            install += ["--skip-test-db", "--force", "--auth-root-authentication-method=normal"]
            self._run(install, folder, b"", env=os.environ | {"TMPDIR": str(temporary)})
            self._run([*server, "--bootstrap"], folder, self.BOOTSTRAP.encode())
        done.touch()

    def _run(self, argv: list[str], folder: Path, stdin: bytes, env: dict[str, str] | None = None) -> None:
        account = self.account(folder)
        result = subprocess.run(
            argv,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=env,
            **(account.popen() if account else {}),
        )
        if result.returncode != 0:
            tail = result.stdout.decode(errors="replace")[-1500:]
            raise ServiceError(f"{Path(argv[0]).name} failed with {result.returncode}:\n{tail}")

    def argv(self, folder: Path, port: int) -> list[str]:
        shown = certificates(self.name)
        files = {"ca": "ca.pem", "cert": "server.pem", "key": "server.key"} if shown else {}
        return [
            self.server(),
            *self._common(folder),
            *(f"--ssl-{name}={shown / file}" for name, file in files.items()),
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--socket=mysqld.sock",  # within the data directory: a long path would not fit a socket's name
            f"--pid-file={folder / 'data' / 'mysqld.pid'}",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--character-set-server=utf8mb4",
            "--sql-mode=STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
            "--innodb-buffer-pool-size=64M",
            "--performance-schema=OFF",
        ]

    def environment(self, port: int) -> dict[str, str]:
        return {"WELDFLEET__MYSQL__URL": f"mysql://weld:weld@127.0.0.1:{port}/weld"}

    def ready(self, port: int) -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            greeting = connection.recv(64)
            return len(greeting) > 5 and greeting[4] == 10  # protocol version of a server that lets us in

    def version(self, port: int) -> str:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            # MariaDB 10 hides behind 5.5.5 from old replicas.
            text = connection.recv(256)[5:].split(b"\0")[0].decode().removeprefix("5.5.5-")
        return f"MariaDB {text}" if "MariaDB" in text else f"MySQL {text}"


@functools.cache
def is_mariadb(server: str) -> bool:
    if not os.environ.get("MYSQL_SERVER"):
        return True
    answer = subprocess.run([server, "--no-defaults", "--version"], stdout=subprocess.PIPE, check=True)
    return b"MariaDB" in answer.stdout


KINDS: dict[str, Service] = {kind.name: kind for kind in (ClickHouse(), Redis(), MySQL())}
