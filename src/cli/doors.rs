//! The doors of those who ask in SQL from elsewhere: of `sanma serve`, and of a run.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use super::settings::DeskPlan;
use super::{Failure, config, say, snapshot};
use crate::access::Access;
use crate::desk::{Certified, Desk, DoorError, Setting, Source};
use crate::flight;
#[cfg(feature = "postgres")]
use crate::postgres;
use crate::query::{Folders, Limits, PseudonymKey, Queries};

/// Bytes of a new key of pseudonyms.
const KEY_BYTES: usize = 32;

impl From<DoorError> for Failure {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Listen(error) => error.into(),
            DoorError::Certificate { .. } => Self::Usage(error.to_string()),
        }
    }
}

/// What doors want before they open: all that can be wrong with them has been looked at, but whether an address is free.
pub(super) struct Prepared<'a> {
    plan: &'a DeskPlan,
    access: Arc<Access>,
    certified: Option<Certified>,
    queries: Arc<Queries>,
    key: PseudonymKey,
}

impl<'a> Prepared<'a> {
    /// Looks at a plan, and makes the folder of the desk if it is not there.
    ///
    /// # Errors
    /// An address that others reach, with no caller named; files that cannot be read or made; a desk that another process has.
    pub(super) fn new(plan: &'a DeskPlan, access: Arc<Access>) -> Result<Self, Failure> {
        for address in plan.at.all() {
            access.check(address)?;
        }
        let certified = plan.certified.as_ref().map(|[certificate, key]| {
            Ok::<_, Failure>(Certified { certificate: config::read(certificate)?, key: config::read(key)? })
        });
        let certified = certified.transpose()?;
        let in_desk = |error: std::io::Error| Failure::Usage(format!("{}: {error}", plan.dir.display()));
        fs::create_dir_all(&plan.dir).map_err(in_desk)?;
        let queries = Arc::new(Queries::open(&plan.dir.join("queries.ndjson"))?);
        let key = PseudonymKey::new(&secret(&plan.dir.join("pseudonym.key")).map_err(in_desk)?);
        Ok(Self { plan, access, certified, queries, key })
    }
}

/// Doors that are open.
pub(super) struct Doors {
    flight: Option<flight::Door>,
    #[cfg(feature = "postgres")]
    postgres: Option<postgres::Door>,
}

impl Doors {
    /// Opens them to questions of a source, each of which has so many threads.
    ///
    /// # Errors
    /// An address that is taken; a certificate that is none.
    pub(super) fn open(prepared: Prepared<'_>, source: Arc<dyn Source>, threads: usize) -> Result<Self, Failure> {
        let Prepared { plan, access, certified, queries, key } = prepared;
        let limits = Limits {
            memory_bytes: snapshot::megabytes(plan.memory_mb),
            threads,
            time: Some(plan.time),
            files: Folders::default(),
            least_group: None,
        };
        let setting = Setting {
            access,
            source,
            limits,
            at_once: plan.at_once.get(),
            least_group: plan.least_group,
            key,
            queries,
            now: config::now,
        };
        let desk = Arc::new(Desk::new(setting, threads).context("no threads for questions").map_err(Failure::Job)?);
        let certified = certified.as_ref();
        let flight = plan.at.flight.map(|address| flight::Door::open(address, certified, &desk)).transpose()?;
        if let Some(door) = &flight {
            let scheme = if certified.is_some() { "grpc+tls" } else { "grpc" };
            say(&format!("listening on {scheme}://{}", door.address()));
        }
        #[cfg(feature = "postgres")]
        let postgres = plan.at.postgres.map(|address| postgres::Door::open(address, certified, &desk)).transpose()?;
        #[cfg(feature = "postgres")]
        if let Some(door) = &postgres {
            say(&format!("listening on postgres://{}", door.address()));
        }
        Ok(Self {
            flight,
            #[cfg(feature = "postgres")]
            postgres,
        })
    }

    /// Lets answers under way end.
    pub(super) fn close(self) {
        std::thread::scope(|scope| {
            #[cfg(feature = "postgres")]
            if let Some(door) = self.postgres {
                scope.spawn(|| door.close());
            }
            if let Some(door) = self.flight {
                scope.spawn(|| door.close());
            }
        });
    }
}

/// The secret in a file; a new one, for this process's user alone, if there is no file.
fn secret(file: &Path) -> std::io::Result<Vec<u8>> {
    match fs::read(file) {
        Ok(secret) if secret.len() >= KEY_BYTES => return Ok(secret),
        Ok(_) => return Err(std::io::Error::other(format!("pseudonym.key has fewer than {KEY_BYTES} bytes"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut secret = vec![0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    // Under another name first: a key that is cut short would be another key.
    let begun = file.with_extension("key.begun");
    let mut made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&begun)?;
    made.write_all(&secret)?;
    made.sync_all()?;
    fs::rename(&begun, file)?;
    Ok(secret)
}
