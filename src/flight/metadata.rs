//! What tools ask about the door itself.

use std::sync::OnceLock;

use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{SqlInfo, SqlSupportedTransaction};
use tonic::Status;

/// What all tables are.
pub(super) const TABLE: &str = "BASE TABLE";

/// Name, version and abilities.
pub(super) fn about() -> Result<&'static SqlInfoData, Status> {
    static ABOUT: OnceLock<Option<SqlInfoData>> = OnceLock::new();
    let build = || {
        let mut about = SqlInfoDataBuilder::new();
        about.append(SqlInfo::FlightSqlServerName, env!("CARGO_PKG_NAME"));
        about.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        // The version of Arrow's format, which is not that of its crates.
        about.append(SqlInfo::FlightSqlServerArrowVersion, "1.5");
        about.append(SqlInfo::FlightSqlServerReadOnly, true);
        about.append(SqlInfo::FlightSqlServerSql, true);
        about.append(SqlInfo::FlightSqlServerSubstrait, false);
        about.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
        about.append(SqlInfo::FlightSqlServerCancel, false);
        about.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        about.build().ok()
    };
    ABOUT.get_or_init(build).as_ref().ok_or_else(|| Status::internal("what is known of this server cannot be told"))
}
