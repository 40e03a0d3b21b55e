//! Made from the text of a Kinesis Data Analytics SQL application by `sql translate`.
//!
//! Put it into a package of its own beside this repository:
//!
//! ```toml
//! [dependencies]
//! stagger = { path = "PATH/TO/REPOSITORY" }
//! sql = { path = "PATH/TO/REPOSITORY/examples/sql" }
//! ```
//!
//! It reads JSON lines from standard input, takes the arrival from the field that its argument names, and writes the
//! rows of its streams as JSON lines.
#![allow(unused_imports, clippy::all)]

use std::time::Duration;

use sql::translated::*;
use stagger::{Bucket, Stagger, Unit};

fn main() -> std::process::ExitCode {
    sql::program::main(&application())
}

pub fn application() -> Plan {
    let streams = vec![
        // CREATE STREAM "VISITS"
        Stream {
            name: "VISITS".to_owned(),
            columns: vec![
                Column { name: "VISIT".to_owned(), ty: Type::Varchar(Some(60)), fields: vec!["VISIT".to_owned(), "visit".to_owned()] },
                Column { name: "USER_ID".to_owned(), ty: Type::Integer, fields: vec!["USER_ID".to_owned(), "user_id".to_owned()] },
                Column { name: "DEVICE".to_owned(), ty: Type::Varchar(Some(10)), fields: vec!["DEVICE".to_owned(), "device".to_owned()] },
                Column { name: "BUCKET".to_owned(), ty: Type::Timestamp, fields: vec!["BUCKET".to_owned(), "bucket".to_owned()] },
                Column { name: "CLICKS".to_owned(), ty: Type::Integer, fields: vec!["CLICKS".to_owned(), "clicks".to_owned()] },
                Column { name: "FIRST_CLICK".to_owned(), ty: Type::Varchar(Some(32)), fields: vec!["FIRST_CLICK".to_owned(), "first_click".to_owned()] },
                Column { name: "LAST_CLICK".to_owned(), ty: Type::Varchar(Some(32)), fields: vec!["LAST_CLICK".to_owned(), "last_click".to_owned()] },
                Column { name: "SECONDS".to_owned(), ty: Type::Integer, fields: vec!["SECONDS".to_owned(), "seconds".to_owned()] },
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "CLEAN"
        Stream {
            name: "CLEAN".to_owned(),
            columns: vec![
                Column { name: "USER_ID".to_owned(), ty: Type::Integer, fields: vec!["USER_ID".to_owned(), "user_id".to_owned()] },
                Column { name: "DEVICE".to_owned(), ty: Type::Varchar(Some(10)), fields: vec!["DEVICE".to_owned(), "device".to_owned()] },
                Column { name: "CLICK".to_owned(), ty: Type::Varchar(Some(32)), fields: vec!["CLICK".to_owned(), "click".to_owned()] },
                Column { name: "AT".to_owned(), ty: Type::Timestamp, fields: vec!["AT".to_owned(), "at".to_owned()] },
                Column { name: "IS_CART".to_owned(), ty: Type::Boolean, fields: vec!["IS_CART".to_owned(), "is_cart".to_owned()] },
            ],
            is_filled: true,
            is_read: true,
        },
        // CREATE STREAM "MINUTES"
        Stream {
            name: "MINUTES".to_owned(),
            columns: vec![
                Column { name: "DEVICE".to_owned(), ty: Type::Varchar(Some(10)), fields: vec!["DEVICE".to_owned(), "device".to_owned()] },
                Column { name: "CLICKS".to_owned(), ty: Type::Integer, fields: vec!["CLICKS".to_owned(), "clicks".to_owned()] },
                Column { name: "USERS".to_owned(), ty: Type::Integer, fields: vec!["USERS".to_owned(), "users".to_owned()] },
                Column { name: "SHARE".to_owned(), ty: Type::Double, fields: vec!["SHARE".to_owned(), "share".to_owned()] },
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "LATEST"
        Stream {
            name: "LATEST".to_owned(),
            columns: vec![
                Column { name: "USER_ID".to_owned(), ty: Type::Integer, fields: vec!["USER_ID".to_owned(), "user_id".to_owned()] },
                Column { name: "CLICKS".to_owned(), ty: Type::BigInt, fields: vec!["CLICKS".to_owned(), "clicks".to_owned()] },
                Column { name: "BEFORE".to_owned(), ty: Type::Varchar(Some(40)), fields: vec!["BEFORE".to_owned(), "before".to_owned()] },
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "SOURCE_SQL_STREAM_001"
        Stream {
            name: "SOURCE_SQL_STREAM_001".to_owned(),
            columns: vec![
                Column { name: "user_id".to_owned(), ty: Type::Integer, fields: vec!["user_id".to_owned()] },
                Column { name: "device_id".to_owned(), ty: Type::Varchar(None), fields: vec!["device_id".to_owned()] },
                Column { name: "client_timestamp".to_owned(), ty: Type::Timestamp, fields: vec!["client_timestamp".to_owned()] },
                Column { name: "client_event".to_owned(), ty: Type::Varchar(None), fields: vec!["client_event".to_owned()] },
            ],
            is_filled: false,
            is_read: true,
        },
    ];
    let pumps = vec![pump_0::pump(), pump_1::pump(), pump_2::pump(), pump_3::pump()];
    Plan { streams, source: 4, pumps, order: vec![0, 1, 2, 3], is_inferred: true, text: String::new() }
}

// CREATE PUMP "VISIT_PUMP" AS INSERT INTO "VISITS" SELECT STREAM … FROM "SOURCE_SQL_STREAM_001"
mod pump_0 {
    use super::*;

    // PARTITION BY "user_id"
    fn key_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "user_id" */)
    }

    // PARTITION BY "device_id"
    fn key_1(row: &[Value]) -> Evaluated {
        Ok(row[1].clone() /* "device_id" */)
    }

    // PARTITION BY STEP("client_timestamp" BY INTERVAL '30' SECOND)
    fn key_2(row: &[Value]) -> Evaluated {
        Ok(step(row[2].clone() /* "client_timestamp" */, 30000)?)
    }

    // an argument of its aggregates, or of its window
    fn argument_0(row: &[Value]) -> Evaluated {
        Ok(row[3].clone() /* "client_event" */)
    }

    // an argument of its aggregates, or of its window
    fn argument_1(row: &[Value]) -> Evaluated {
        Ok(row[2].clone() /* "client_timestamp" */)
    }

    // UPPER(CAST("user_id" AS VARCHAR(9)) || '_' || SUBSTRING("device_id", 1, 3) || CAST(UNIX_TIMESTAMP(STEP("client_timestamp" BY INTERVAL '30' SECOND)) / 1000 AS VARCHAR(20))), for "VISIT"
    fn column_0(row: &[Value]) -> Evaluated {
        Ok(cast(upper(join(&[&|| Ok(cast(row[0].clone() /* "user_id" */, Type::Varchar(Some(9)))?), &|| Ok(Value::text("_")), &|| Ok(substring(row[1].clone() /* "device_id" */, Value::Int(1), Value::Int(3))?), &|| Ok(cast(calculate(&unix_timestamp(row[2].clone() /* STEP("client_timestamp" BY INTERVAL '30' SECOND) */)?, Operator::Divide, &Value::Int(1000), Numbers::Integer)?, Type::Varchar(Some(20)))?)])?)?, Type::Varchar(Some(60)))?)
    }

    // "user_id", for "USER_ID"
    fn column_1(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "user_id" */)
    }

    // "device_id", for "DEVICE"
    fn column_2(row: &[Value]) -> Evaluated {
        Ok(cast(row[1].clone() /* "device_id" */, Type::Varchar(Some(10)))?)
    }

    // STEP("client_timestamp" BY INTERVAL '30' SECOND), for "BUCKET"
    fn column_3(row: &[Value]) -> Evaluated {
        Ok(row[2].clone() /* STEP("client_timestamp" BY INTERVAL '30' SECOND) */)
    }

    // COUNT("client_event"), for "CLICKS"
    fn column_4(row: &[Value]) -> Evaluated {
        Ok(cast(row[4].clone() /* COUNT("client_event") */, Type::Integer)?)
    }

    // FIRST_VALUE("client_event"), for "FIRST_CLICK"
    fn column_5(row: &[Value]) -> Evaluated {
        Ok(cast(row[5].clone() /* FIRST_VALUE("client_event") */, Type::Varchar(Some(32)))?)
    }

    // LAST_VALUE("client_event"), for "LAST_CLICK"
    fn column_6(row: &[Value]) -> Evaluated {
        Ok(cast(row[6].clone() /* LAST_VALUE("client_event") */, Type::Varchar(Some(32)))?)
    }

    // TSDIFF(MAX("client_timestamp"), MIN("client_timestamp")) / 1000, for "SECONDS"
    fn column_7(row: &[Value]) -> Evaluated {
        Ok(cast(calculate(&tsdiff(row[7].clone() /* MAX("client_timestamp") */, row[8].clone() /* MIN("client_timestamp") */)?, Operator::Divide, &Value::Int(1000), Numbers::Integer)?, Type::Integer)?)
    }

    pub fn pump() -> Pump {
        Pump {
            name: "VISIT_PUMP".to_owned(),
            from: 4,
            into: 0,
            filter: None,
            work: Work::Group(Group {
                window: Window::Stagger(30000),
                windows: Stagger::per_key(Duration::from_millis(30000)).remember_parts(Duration::ZERO),
                keys: vec![Typed { expr: native(key_0), ty: Type::Integer }, Typed { expr: native(key_1), ty: Type::Varchar(None) }, Typed { expr: native(key_2), ty: Type::Timestamp }],
                arguments: vec![native(argument_0), native(argument_1)],
                aggregates: vec![Aggregate { kind: Kind::Count, argument: Some(0), is_distinct: false, ignores_nulls: false, ty: Type::BigInt }, Aggregate { kind: Kind::First, argument: Some(0), is_distinct: false, ignores_nulls: false, ty: Type::Varchar(None) }, Aggregate { kind: Kind::Last, argument: Some(0), is_distinct: false, ignores_nulls: false, ty: Type::Varchar(None) }, Aggregate { kind: Kind::Max, argument: Some(1), is_distinct: false, ignores_nulls: false, ty: Type::Timestamp }, Aggregate { kind: Kind::Min, argument: Some(1), is_distinct: false, ignores_nulls: false, ty: Type::Timestamp }],
            }),
            having: None,
            outputs: vec![native(column_0), native(column_1), native(column_2), native(column_3), native(column_4), native(column_5), native(column_6), native(column_7)],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "CLEAN_PUMP" AS INSERT INTO "CLEAN" SELECT STREAM … FROM "SOURCE_SQL_STREAM_001"
mod pump_1 {
    use super::*;

    // WHERE NOT ("device_id" = 'tablet' AND "user_id" BETWEEN 1 AND 99) AND "client_event" IS NOT NULL
    fn filter(row: &[Value]) -> Evaluated {
        Ok(and(&[&|| Ok(not(&and(&[&|| Ok(compare(&row[1].clone() /* "device_id" */, Comparison::Equal, &Value::text("tablet"))), &|| Ok(and(&[&|| Ok(compare(&row[0].clone() /* "user_id" */, Comparison::GreaterOrEqual, &Value::Int(1))), &|| Ok(compare(&row[0].clone() /* "user_id" */, Comparison::LessOrEqual, &Value::Int(99)))])?)])?)), &|| Ok(not(&is_null(&row[3].clone() /* "client_event" */)))])?)
    }

    // "user_id", for "USER_ID"
    fn column_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "user_id" */)
    }

    // "device_id", for "DEVICE"
    fn column_1(row: &[Value]) -> Evaluated {
        Ok(cast(row[1].clone() /* "device_id" */, Type::Varchar(Some(10)))?)
    }

    // LOWER(TRIM("client_event")), for "CLICK"
    fn column_2(row: &[Value]) -> Evaluated {
        Ok(cast(lower(trim(Side::Both, row[3].clone() /* "client_event" */, Value::text(" "))?)?, Type::Varchar(Some(32)))?)
    }

    // "client_timestamp", for "AT"
    fn column_3(row: &[Value]) -> Evaluated {
        Ok(row[2].clone() /* "client_timestamp" */)
    }

    // "client_event" LIKE '%cart%' OR "client_event" IN ('beer_checkout', NULL), for "IS_CART"
    fn column_4(row: &[Value]) -> Evaluated {
        Ok(or(&[&|| Ok(like(&row[3].clone() /* "client_event" */, &Value::text("%cart%"), None)?), &|| Ok(is_in(&row[3].clone() /* "client_event" */, &[&|| Ok(Value::text("beer_checkout")), &|| Ok(Value::Null)])?)])?)
    }

    pub fn pump() -> Pump {
        Pump {
            name: "CLEAN_PUMP".to_owned(),
            from: 4,
            into: 1,
            filter: Some(native(filter)),
            work: Work::Rows,
            having: None,
            outputs: vec![native(column_0), native(column_1), native(column_2), native(column_3), native(column_4)],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "MINUTE_PUMP" AS INSERT INTO "MINUTES" SELECT STREAM … FROM "CLEAN"
mod pump_2 {
    use super::*;

    // PARTITION BY device
    fn key_0(row: &[Value]) -> Evaluated {
        Ok(row[1].clone() /* "DEVICE" */)
    }

    // PARTITION BY FLOOR(clean.ROWTIME TO MINUTE)
    fn key_1(row: &[Value]) -> Evaluated {
        Ok(floor_to(row[5].clone() /* ROWTIME */, Unit::Minute)?)
    }

    // an argument of its aggregates, or of its window
    fn argument_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "USER_ID" */)
    }

    // an argument of its aggregates, or of its window
    fn argument_1(row: &[Value]) -> Evaluated {
        Ok(if is_true(&row[4].clone() /* "IS_CART" */) { Value::Double(1.0) } else { Value::Double(0.0) })
    }

    // HAVING COUNT(*) > 2
    fn having(row: &[Value]) -> Evaluated {
        Ok(compare(&row[3].clone() /* COUNT(*) */, Comparison::Greater, &Value::Int(2)))
    }

    // device, for "DEVICE"
    fn column_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* device */)
    }

    // COUNT(*), for "CLICKS"
    fn column_1(row: &[Value]) -> Evaluated {
        Ok(cast(row[3].clone() /* COUNT(*) */, Type::Integer)?)
    }

    // COUNT(DISTINCT user_id), for "USERS"
    fn column_2(row: &[Value]) -> Evaluated {
        Ok(cast(row[4].clone() /* COUNT("USER_ID") */, Type::Integer)?)
    }

    // AVG(CASE WHEN is_cart THEN 1.0E0 ELSE 0.0E0 END), for "SHARE"
    fn column_3(row: &[Value]) -> Evaluated {
        Ok(row[5].clone() /* AVG(…) */)
    }

    pub fn pump() -> Pump {
        Pump {
            name: "MINUTE_PUMP".to_owned(),
            from: 1,
            into: 2,
            filter: None,
            work: Work::Group(Group {
                window: Window::Floor(Unit::Minute),
                windows: Stagger::on_event_time(Bucket::floor(Unit::Minute)),
                keys: vec![Typed { expr: native(key_0), ty: Type::Varchar(Some(10)) }, Typed { expr: native(key_1), ty: Type::Timestamp }],
                arguments: vec![native(argument_0), native(argument_1)],
                aggregates: vec![Aggregate { kind: Kind::Count, argument: None, is_distinct: false, ignores_nulls: false, ty: Type::BigInt }, Aggregate { kind: Kind::Count, argument: Some(0), is_distinct: true, ignores_nulls: false, ty: Type::BigInt }, Aggregate { kind: Kind::Average, argument: Some(1), is_distinct: false, ignores_nulls: false, ty: Type::Double }],
            }),
            having: Some(native(having)),
            outputs: vec![native(column_0), native(column_1), native(column_2), native(column_3)],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "LATEST_PUMP" AS INSERT INTO "LATEST" SELECT STREAM … FROM "CLEAN"
mod pump_3 {
    use super::*;

    // an argument of its aggregates, or of its window
    fn partition_0_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "USER_ID" */)
    }

    // an argument of its aggregates, or of its window
    fn partition_1_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "USER_ID" */)
    }

    // an argument of its aggregates, or of its window
    fn argument_1_0(row: &[Value]) -> Evaluated {
        Ok(row[2].clone() /* "CLICK" */)
    }

    // user_id, for "USER_ID"
    fn column_0(row: &[Value]) -> Evaluated {
        Ok(row[0].clone() /* "USER_ID" */)
    }

    // COUNT(*) OVER hour_window, for "CLICKS"
    fn column_1(row: &[Value]) -> Evaluated {
        Ok(row[7].clone() /* COUNT(*) OVER */)
    }

    // COALESCE(NULLIF(FIRST_VALUE(click) OVER two, click), 'the same') || CAST(EXTRACT(MINUTE FROM at) AS VARCHAR(2)), for "BEFORE"
    fn column_2(row: &[Value]) -> Evaluated {
        Ok(join(&[&|| Ok(coalesce(&[&|| Ok(nullif(row[8].clone() /* FIRST_VALUE("CLICK") OVER */, row[2].clone() /* "CLICK" */)?), &|| Ok(Value::text("the same"))])?), &|| Ok(cast(extract(Field::Minute, row[3].clone() /* "AT" */)?, Type::Varchar(Some(2)))?)])?)
    }

    pub fn pump() -> Pump {
        Pump {
            name: "LATEST_PUMP".to_owned(),
            from: 1,
            into: 3,
            filter: None,
            work: Work::Over(vec![Over { partition: vec![native(partition_0_0)], frame: Frame::Range(3600000), arguments: vec![], aggregates: vec![Aggregate { kind: Kind::Count, argument: None, is_distinct: false, ignores_nulls: false, ty: Type::BigInt }], slots: vec![7] }, Over { partition: vec![native(partition_1_0)], frame: Frame::Rows(1), arguments: vec![native(argument_1_0)], aggregates: vec![Aggregate { kind: Kind::First, argument: Some(0), is_distinct: false, ignores_nulls: false, ty: Type::Varchar(Some(32)) }], slots: vec![8] }]),
            having: None,
            outputs: vec![native(column_0), native(column_1), native(column_2)],
            sql: Texts::default(),
        }
    }
}
