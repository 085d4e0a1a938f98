//! The table: the type of its vectors, and what makes it.

use std::fmt;

/// The most dimensions that an index takes of 32-bit numbers, and of 16-bit numbers.
const MOST_OF_VECTOR: usize = 2000;
pub(super) const MOST_OF_HALFVEC: usize = 4000;

/// The type of the table's vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    half: bool,
    pub(super) dimensions: usize,
}

impl Column {
    pub(super) fn of(dimensions: usize) -> Self {
        Self {
            half: dimensions > MOST_OF_VECTOR,
            dimensions,
        }
    }

    /// As PostgreSQL writes it.
    pub(super) fn read(written: &str) -> Option<Self> {
        // A type may stand in a schema that is not searched.
        let name = written.rsplit('.').next()?;
        let (name, dimensions) = name.strip_suffix(')')?.split_once('(')?;
        let half = match name {
            "vector" => false,
            "halfvec" => true,
            _ => return None,
        };
        Some(Self {
            half,
            dimensions: dimensions.parse().ok()?,
        })
    }

    pub(super) fn name(self) -> &'static str {
        if self.half { "halfvec" } else { "vector" }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.dimensions)
    }
}

/// What makes the table. Its name has been checked to need no escaping.
pub(super) fn statements(table: &str, column: Column) -> [String; 5] {
    let of = column.name();
    [
        "CREATE EXTENSION IF NOT EXISTS vector".to_owned(),
        format!(
            "CREATE TABLE IF NOT EXISTS \"{table}\" (\
             namespace text COLLATE \"C\" NOT NULL, id text COLLATE \"C\" NOT NULL, \"set\" text COLLATE \"C\" NOT NULL, \
             source text NOT NULL, text text NOT NULL, metadata jsonb NOT NULL, embedding {column} NOT NULL, \
             PRIMARY KEY (namespace, id))"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS \"{table}_set\" ON \"{table}\" (namespace, \"set\", id)"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS \"{table}_metadata\" ON \"{table}\" USING gin (metadata jsonb_path_ops)"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS \"{table}_embedding\" ON \"{table}\" USING hnsw (embedding {of}_cosine_ops)"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_as_postgresql_writes_it() {
        let of = |half, dimensions| Some(Column { half, dimensions });
        for (written, column) in [
            ("vector(2)", of(false, 2)),
            ("halfvec(3072)", of(true, 3072)),
            ("extensions.vector(1536)", of(false, 1536)),
            ("vector", None),
            ("text", None),
            ("bit(3)", None),
        ] {
            assert_eq!(Column::read(written), column, "{written}");
        }
        assert_eq!(Column::of(2000).to_string(), "vector(2000)");
        assert_eq!(Column::of(2001).to_string(), "halfvec(2001)");
    }
}
