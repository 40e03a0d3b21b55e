//! Where checkpoints, waiting rows and finished files are kept: a directory, or a bucket in S3.

mod dir;

use anyhow::Result;

pub(crate) use dir::Dir;

/// Named objects, each written whole or not at all. Names are relative paths with `/`.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Dir(Dir),
}

impl Store {
    pub(crate) fn parse(
        text: &str,
        _: &crate::aws::Aws,
        _: crate::retry::Retry,
        _: &std::sync::Arc<crate::status::Status>,
    ) -> Result<Self> {
        Ok(Self::Dir(Dir::new(text.into())))
    }
    /// Writes an object, in place of one of the same name. When this returns it is there for good,
    /// and whoever looks meanwhile sees the old one or the new one, never a part.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.put(name, bytes).await,
        }
    }

    /// Reads an object; `None` if there is none of that name.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Dir(dir) => dir.get(name).await,
        }
    }

    /// Takes an object away; nothing happens if there is none.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.delete(name).await,
        }
    }

    /// The names that begin with `prefix`, in order.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        match self {
            Self::Dir(dir) => dir.list(prefix).await,
        }
    }

    /// Takes the store for this process alone, as far as it can be known: two writers of one
    /// checkpoint would count everything twice.
    pub(crate) async fn claim(&mut self) -> Result<()> {
        match self {
            Self::Dir(dir) => dir.claim().await,
        }
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Dir(dir) => dir.place(),
        }
    }
}
