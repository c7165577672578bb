//! Whether the result table can be worked with: what is asked before the fleet starts, and while it runs.

use mysql_async::prelude::Queryable;

use super::{NokTable, server::in_time};
use crate::errors::{StoreError, refuse_faults};

impl NokTable {
    /// What a worker must be able to do, each with whether it can; the write is tried on no row.
    pub async fn check_all(&self) -> Vec<(String, Result<(), StoreError>)> {
        let mut answers = vec![("connect".to_owned(), self.server().ping().await)];
        if answers[0].1.is_err() {
            return answers;
        }
        let columns = (
            format!("columns of {}", self.name),
            self.check_columns().await,
        );
        if self.declared.is_applications && columns.1.is_err() {
            // Everything at once, before the server names the first that it does not know.
            answers.push(columns);
            return answers;
        }
        answers.push((format!("read {}", self.name), self.check().await));
        answers.push(columns);
        answers.push((format!("write {}", self.name), self.check_write().await));
        answers
    }

    /// Whether every column takes what is written into it, every fault named.
    pub async fn check_columns(&self) -> Result<(), StoreError> {
        let (found, layout) = (self.existing().await?, &self.declared);
        let faults = match layout.is_applications {
            true => found.application_faults(layout),
            false => found.own_faults(layout),
        };
        refuse_faults(&self.table, faults)
    }

    /// Whether the fleet's own table has its unique key. An application's is looked at before the fleet starts; that
    /// there is no table the first statement says.
    pub async fn check_key(&self) -> Result<(), StoreError> {
        if self.declared.is_applications {
            return Ok(());
        }
        let found = self.existing().await?;
        if found.columns.is_empty() {
            return Ok(());
        }
        let fault = found.lacks_unique_key(&self.declared);
        refuse_faults(&self.table, fault.into_iter().collect())
    }

    /// Why the console cannot write reviews into an application's columns, for people; `None` if they hold what
    /// reviewers say. Those that do not are asked again.
    pub async fn unfit_reviews(&self) -> Result<Option<String>, StoreError> {
        if !self.declared.is_applications || self.reviewable.initialized() {
            return Ok(None);
        }
        let faults = self.existing().await?.unfit_for_reviews(&self.declared);
        let unfit = refuse_faults(&self.table, faults).err();
        if unfit.is_none() {
            // Another request may have been faster.
            let _ = self.reviewable.set(());
        }
        Ok(unfit.map(|unfit| unfit.to_string()))
    }

    async fn check_write(&self) -> Result<(), StoreError> {
        let layout = self.layout().await?;
        let mut conn = self.server().connect().await?;
        let (name, names) = (&self.name, layout.written().join(", "));
        let insert = format!("INSERT INTO {name} ({names}) SELECT {names} FROM {name} WHERE 1 = 0");
        in_time("insert into the result table", conn.query_drop(insert)).await?;
        let [day, ..] = layout.quoted_key();
        let update = format!("UPDATE {name} SET {day} = {day} WHERE 1 = 0");
        in_time("update the result table", conn.query_drop(update)).await?;
        let delete = format!("DELETE FROM {name} WHERE 1 = 0");
        in_time("delete from the result table", conn.query_drop(delete)).await
    }

    /// Answers when the table can be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        let layout = self.layout().await?;
        let mut conn = self.server().connect().await?;
        let sql = format!(
            "SELECT {}, {} FROM {} LIMIT 0",
            layout.written().join(", "),
            layout.is_reviewed(),
            self.name
        );
        in_time("read the result table", conn.query_drop(sql)).await
    }
}
