//! The change feed of the store over PostgreSQL.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use service_tokens::store::{Change, ChangeStream, StoreError};
use service_tokens::{TokenId, async_trait, uuid::Uuid};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

/// The notifications of other nodes, over a connection of its own.
pub struct Feed {
    connection: Connection<Socket, NoTlsStream>,
    /// Dropping the client would end the connection.
    _client: Client,
    /// The changes that were received and not returned yet.
    changes: VecDeque<Change>,
}

impl Feed {
    /// Opens a connection and listens on the channel.
    pub async fn open(config: &Config, channel: &str) -> Result<Self, StoreError> {
        let (client, mut connection) =
            config.connect(NoTls).await.map_err(StoreError::unavailable)?;
        let mut changes = VecDeque::new();
        // The statement is answered only while the connection is polled.
        let listen = format!("listen {channel}");
        let mut listening = Box::pin(client.batch_execute(&listen));
        poll_fn(|context| {
            while let Poll::Ready(message) = connection.poll_message(context) {
                receive(message, &mut changes)?;
            }
            listening.as_mut().poll(context).map_err(StoreError::unavailable)
        })
        .await?;
        drop(listening);
        Ok(Self { connection, _client: client, changes })
    }
}

#[async_trait]
impl ChangeStream for Feed {
    async fn next(&mut self) -> Result<Change, StoreError> {
        // A change leaves the queue only in the poll that returns it, so a dropped future loses none.
        poll_fn(|context| {
            loop {
                if let Some(change) = self.changes.pop_front() {
                    return Poll::Ready(Ok(change));
                }
                match self.connection.poll_message(context) {
                    Poll::Ready(message) => receive(message, &mut self.changes)?,
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

/// Adds the changes of a notification. The end of the connection is an error, because later changes are lost.
fn receive(
    message: Option<Result<AsyncMessage, tokio_postgres::Error>>,
    changes: &mut VecDeque<Change>,
) -> Result<(), StoreError> {
    match message {
        Some(Ok(AsyncMessage::Notification(notification))) => {
            for id in notification.payload().split(',') {
                let id = Uuid::parse_str(id).map(TokenId::from_uuid);
                changes.push_back(id.map_or(Change::Missed, Change::Record));
            }
            Ok(())
        }
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(StoreError::unavailable(error)),
        None => Err(StoreError::unavailable("the connection of the change feed was closed")),
    }
}
