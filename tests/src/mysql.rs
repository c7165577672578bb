//! The mirror, over MySQL's own protocol.

use mysql_async::{Conn, Opts, Row, prelude::Queryable};

/// A client of the database `weld`; every call is a connection of its own, so that outages do not matter.
pub struct MySql {
    url: String,
}

impl MySql {
    /// A client; connects at the first query.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
        }
    }

    async fn connection(&self) -> Conn {
        let options = Opts::from_url(&self.url).expect("url");
        Conn::new(options)
            .await
            .unwrap_or_else(|error| panic!("mysql: {error}"))
    }

    /// Runs a statement; answers how many rows it changed.
    pub async fn execute(&self, sql: &str) -> u64 {
        let mut connection = self.connection().await;
        connection
            .query_drop(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.affected_rows()
    }

    /// What the server says to a statement that it must refuse.
    pub async fn refusal(&self, sql: &str) -> String {
        let mut connection = self.connection().await;
        match connection.query_drop(sql).await {
            Err(error) => error.to_string(),
            Ok(()) => panic!("not refused: {sql}"),
        }
    }

    /// Runs statements in turn.
    pub async fn execute_all(&self, statements: &[&str]) {
        for sql in statements {
            self.execute(sql).await;
        }
    }

    /// Rows of a SELECT, each value as text (`NULL` for null).
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let mut connection = self.connection().await;
        let rows: Vec<Row> = connection
            .query(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.into_iter()
            .map(|row| row.unwrap().into_iter().map(|value| text(&value)).collect())
            .collect()
    }

    /// `SELECT count(*) FROM <from>`.
    pub async fn count(&self, from: &str) -> u64 {
        self.rows(&format!("SELECT count(*) FROM {from}")).await[0][0]
            .parse()
            .expect("a count")
    }
}

fn text(value: &mysql_async::Value) -> String {
    match value {
        mysql_async::Value::NULL => "NULL".to_owned(),
        mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => other.as_sql(true).trim_matches('\'').to_owned(),
    }
}
