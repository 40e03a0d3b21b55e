//! Made from the text of a Kinesis Data Analytics SQL application by `sql translate`.
//!
//! It reads JSON lines from standard input, takes the arrival from the field that its argument names, and writes the
//! rows of its streams as JSON lines: `cargo run --release -- arrival_timestamp < clicks.jsonl > rows.jsonl`
//!
//! Each expression is a function of a row, below the SQL that it was. NULL is a value; a value that cannot be computed
//! sends its row to the error stream.
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
                column("VISIT", Type::Varchar(Some(60)), &[]),
                column("USER_ID", Type::Integer, &[]),
                column("DEVICE", Type::Varchar(Some(10)), &[]),
                column("BUCKET", Type::Timestamp, &[]),
                column("CLICKS", Type::Integer, &[]),
                column("FIRST_CLICK", Type::Varchar(Some(32)), &[]),
                column("LAST_CLICK", Type::Varchar(Some(32)), &[]),
                column("SECONDS", Type::Integer, &[]),
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "CLEAN"
        Stream {
            name: "CLEAN".to_owned(),
            columns: vec![
                column("USER_ID", Type::Integer, &[]),
                column("DEVICE", Type::Varchar(Some(10)), &[]),
                column("CLICK", Type::Varchar(Some(32)), &[]),
                column("AT", Type::Timestamp, &[]),
                column("IS_CART", Type::Boolean, &[]),
            ],
            is_filled: true,
            is_read: true,
        },
        // CREATE STREAM "MINUTES"
        Stream {
            name: "MINUTES".to_owned(),
            columns: vec![
                column("DEVICE", Type::Varchar(Some(10)), &[]),
                column("CLICKS", Type::Integer, &[]),
                column("USERS", Type::Integer, &[]),
                column("SHARE", Type::Double, &[]),
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "LATEST"
        Stream {
            name: "LATEST".to_owned(),
            columns: vec![
                column("USER_ID", Type::Integer, &[]),
                column("CLICKS", Type::BigInt, &[]),
                column("BEFORE", Type::Varchar(Some(40)), &[]),
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "WORDS"
        Stream {
            name: "WORDS".to_owned(),
            columns: vec![
                column("type", Type::Integer, &[]),
                column("self", Type::Varchar(Some(60)), &[]),
                column("row", Type::Boolean, &[]),
                column("log10", Type::Double, &[]),
                column("user id", Type::Integer, &[]),
                column("User_Id", Type::Integer, &[]),
                column("1st", Type::Varchar(Some(40)), &[]),
            ],
            is_filled: true,
            is_read: true,
        },
        // CREATE STREAM "SUMS"
        Stream {
            name: "SUMS".to_owned(),
            columns: vec![
                column("true", Type::BigInt, &[]),
                column("pump", Type::Varchar(Some(99)), &[]),
                column("cast", Type::Varchar(Some(99)), &[]),
                column("having", Type::BigInt, &[]),
                column("filter", Type::Double, &[]),
            ],
            is_filled: true,
            is_read: false,
        },
        // CREATE STREAM "SOURCE_SQL_STREAM_001"
        Stream {
            name: "SOURCE_SQL_STREAM_001".to_owned(),
            columns: vec![
                column("user_id", Type::Integer, &["user_id"]),
                column("device_id", Type::Varchar(None), &["device_id"]),
                column("client_timestamp", Type::Timestamp, &["client_timestamp"]),
                column("client_event", Type::Varchar(None), &["client_event"]),
            ],
            is_filled: false,
            is_read: true,
        },
    ];
    let pumps = vec![
        visit_pump::pump(),
        clean_pump::pump(),
        minute_pump::pump(),
        latest_pump::pump(),
        mod_value::pump(),
        mod_value_2::pump(),
    ];
    Plan { streams, source: 6, pumps, order: vec![0, 1, 2, 3, 4, 5], is_inferred: true, text: String::new() }
}

// CREATE PUMP "VISIT_PUMP" AS INSERT INTO "VISITS" SELECT STREAM … FROM "SOURCE_SQL_STREAM_001"
mod visit_pump {
    use super::*;

    // PARTITION BY "user_id"
    fn key_user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // PARTITION BY "device_id"
    fn key_device_id(row: &[Value]) -> Evaluated {
        let device_id = &row[1];
        Ok(device_id.clone())
    }

    // PARTITION BY STEP("client_timestamp" BY INTERVAL '30' SECOND)
    fn key_step_client_timestamp_by_interval_30_second(row: &[Value]) -> Evaluated {
        let client_timestamp = &row[2];
        step(client_timestamp.clone(), 30000)
    }

    // argument "client_event"
    fn argument_client_event(row: &[Value]) -> Evaluated {
        let client_event = &row[3];
        Ok(client_event.clone())
    }

    // argument "client_timestamp"
    fn argument_client_timestamp(row: &[Value]) -> Evaluated {
        let client_timestamp = &row[2];
        Ok(client_timestamp.clone())
    }

    // UPPER(CAST("user_id" AS VARCHAR(9)) || '_' || SUBSTRING("device_id", 1, 3) || CAST(UNIX_TIMESTAMP(STEP("client_timestamp" BY INTERVAL '30' SECOND)) / 1000 AS VARCHAR(20))), for "VISIT"
    fn visit(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        let device_id = &row[1];
        let step_client_timestamp_by_interval_30_second = &row[2];
        cast(
            upper(
                join(
                    &[
                        &|| cast(user_id.clone(), Type::Varchar(Some(9))),
                        &|| Ok(Value::text("_")),
                        &|| substring(device_id.clone(), Value::Int(1), Value::Int(3)),
                        &|| cast(
                            calculate(
                                &unix_timestamp(step_client_timestamp_by_interval_30_second.clone())?,
                                Operator::Divide,
                                &Value::Int(1000),
                                Numbers::Integer,
                            )?,
                            Type::Varchar(Some(20)),
                        ),
                    ]
                )?
            )?,
            Type::Varchar(Some(60)),
        )
    }

    // "user_id", for "USER_ID"
    fn user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // "device_id", for "DEVICE"
    fn device(row: &[Value]) -> Evaluated {
        let device_id = &row[1];
        cast(device_id.clone(), Type::Varchar(Some(10)))
    }

    // STEP("client_timestamp" BY INTERVAL '30' SECOND), for "BUCKET"
    fn bucket(row: &[Value]) -> Evaluated {
        let step_client_timestamp_by_interval_30_second = &row[2];
        Ok(step_client_timestamp_by_interval_30_second.clone())
    }

    // COUNT("client_event"), for "CLICKS"
    fn clicks(row: &[Value]) -> Evaluated {
        let count_client_event = &row[4];
        cast(count_client_event.clone(), Type::Integer)
    }

    // FIRST_VALUE("client_event"), for "FIRST_CLICK"
    fn first_click(row: &[Value]) -> Evaluated {
        let first_value_client_event = &row[5];
        cast(first_value_client_event.clone(), Type::Varchar(Some(32)))
    }

    // LAST_VALUE("client_event"), for "LAST_CLICK"
    fn last_click(row: &[Value]) -> Evaluated {
        let last_value_client_event = &row[6];
        cast(last_value_client_event.clone(), Type::Varchar(Some(32)))
    }

    // TSDIFF(MAX("client_timestamp"), MIN("client_timestamp")) / 1000, for "SECONDS"
    fn seconds(row: &[Value]) -> Evaluated {
        let max_client_timestamp = &row[7];
        let min_client_timestamp = &row[8];
        cast(
            calculate(
                &tsdiff(max_client_timestamp.clone(), min_client_timestamp.clone())?,
                Operator::Divide,
                &Value::Int(1000),
                Numbers::Integer,
            )?,
            Type::Integer,
        )
    }

    pub fn pump() -> Pump {
        Pump {
            name: "VISIT_PUMP".to_owned(),
            from: 6,
            into: 0,
            filter: None,
            work: Work::Group(
                Group {
                    window: Window::Stagger(30000),
                    windows: Stagger::per_key(Duration::from_millis(30000)).remember_parts(Duration::ZERO),
                    keys: vec![
                        Typed { expr: native(key_user_id), ty: Type::Integer },
                        Typed { expr: native(key_device_id), ty: Type::Varchar(None) },
                        Typed {
                            expr: native(key_step_client_timestamp_by_interval_30_second),
                            ty: Type::Timestamp,
                        },
                    ],
                    arguments: vec![native(argument_client_event), native(argument_client_timestamp)],
                    aggregates: vec![
                        Aggregate {
                            kind: Kind::Count,
                            argument: Some(0),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::BigInt,
                        },
                        Aggregate {
                            kind: Kind::First,
                            argument: Some(0),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Varchar(None),
                        },
                        Aggregate {
                            kind: Kind::Last,
                            argument: Some(0),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Varchar(None),
                        },
                        Aggregate {
                            kind: Kind::Max,
                            argument: Some(1),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Timestamp,
                        },
                        Aggregate {
                            kind: Kind::Min,
                            argument: Some(1),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Timestamp,
                        },
                    ],
                }
            ),
            having: None,
            outputs: vec![
                native(visit),
                native(user_id),
                native(device),
                native(bucket),
                native(clicks),
                native(first_click),
                native(last_click),
                native(seconds),
            ],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "CLEAN_PUMP" AS INSERT INTO "CLEAN" SELECT STREAM … FROM "SOURCE_SQL_STREAM_001"
mod clean_pump {
    use super::*;

    // WHERE NOT ("device_id" = 'tablet' AND "user_id" BETWEEN 1 AND 99) AND "client_event" IS NOT NULL
    fn filter(row: &[Value]) -> Evaluated {
        let device_id = &row[1];
        let user_id = &row[0];
        let client_event = &row[3];
        and(
            &[
                &|| Ok(
                    not(
                        &and(
                            &[
                                &|| Ok(compare(device_id, Comparison::Equal, &Value::text("tablet"))),
                                &|| and(
                                    &[
                                        &|| Ok(compare(user_id, Comparison::GreaterOrEqual, &Value::Int(1))),
                                        &|| Ok(compare(user_id, Comparison::LessOrEqual, &Value::Int(99))),
                                    ]
                                ),
                            ]
                        )?
                    )
                ),
                &|| Ok(not(&is_null(client_event))),
            ]
        )
    }

    // "user_id", for "USER_ID"
    fn user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // "device_id", for "DEVICE"
    fn device(row: &[Value]) -> Evaluated {
        let device_id = &row[1];
        cast(device_id.clone(), Type::Varchar(Some(10)))
    }

    // LOWER(TRIM("client_event")), for "CLICK"
    fn click(row: &[Value]) -> Evaluated {
        let client_event = &row[3];
        cast(lower(trim(Side::Both, client_event.clone(), Value::text(" "))?)?, Type::Varchar(Some(32)))
    }

    // "client_timestamp", for "AT"
    fn at(row: &[Value]) -> Evaluated {
        let client_timestamp = &row[2];
        Ok(client_timestamp.clone())
    }

    // "client_event" LIKE '%cart%' OR "client_event" IN ('beer_checkout', NULL), for "IS_CART"
    fn is_cart(row: &[Value]) -> Evaluated {
        let client_event = &row[3];
        or(
            &[
                &|| like(client_event, &Value::text("%cart%"), None),
                &|| is_in(client_event, &[&|| Ok(Value::text("beer_checkout")), &|| Ok(Value::Null)]),
            ]
        )
    }

    pub fn pump() -> Pump {
        Pump {
            name: "CLEAN_PUMP".to_owned(),
            from: 6,
            into: 1,
            filter: Some(native(filter)),
            work: Work::Rows,
            having: None,
            outputs: vec![native(user_id), native(device), native(click), native(at), native(is_cart)],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "MINUTE_PUMP" AS INSERT INTO "MINUTES" SELECT STREAM … FROM "CLEAN"
mod minute_pump {
    use super::*;

    // PARTITION BY device
    fn key_device(row: &[Value]) -> Evaluated {
        let device = &row[1];
        Ok(device.clone())
    }

    // PARTITION BY FLOOR(clean.ROWTIME TO MINUTE)
    fn key_floor_clean_rowtime_to_minute(row: &[Value]) -> Evaluated {
        let rowtime = &row[5];
        floor_to(rowtime.clone(), Unit::Minute)
    }

    // argument "USER_ID"
    fn argument_user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // argument of an aggregate
    fn argument_of_an_aggregate(row: &[Value]) -> Evaluated {
        let is_cart = &row[4];
        Ok(if is_true(is_cart) { Value::Double(1.0) } else { Value::Double(0.0) })
    }

    // HAVING COUNT(*) > 2
    fn having(row: &[Value]) -> Evaluated {
        let count = &row[3];
        Ok(compare(count, Comparison::Greater, &Value::Int(2)))
    }

    // device, for "DEVICE"
    fn device(row: &[Value]) -> Evaluated {
        let device = &row[0];
        Ok(device.clone())
    }

    // COUNT(*), for "CLICKS"
    fn clicks(row: &[Value]) -> Evaluated {
        let count = &row[3];
        cast(count.clone(), Type::Integer)
    }

    // COUNT(DISTINCT user_id), for "USERS"
    fn users(row: &[Value]) -> Evaluated {
        let count_user_id = &row[4];
        cast(count_user_id.clone(), Type::Integer)
    }

    // AVG(CASE WHEN is_cart THEN 1.0E0 ELSE 0.0E0 END), for "SHARE"
    fn share(row: &[Value]) -> Evaluated {
        let avg = &row[5];
        Ok(avg.clone())
    }

    pub fn pump() -> Pump {
        Pump {
            name: "MINUTE_PUMP".to_owned(),
            from: 1,
            into: 2,
            filter: None,
            work: Work::Group(
                Group {
                    window: Window::Floor(Unit::Minute),
                    windows: Stagger::on_event_time(Bucket::floor(Unit::Minute)),
                    keys: vec![
                        Typed { expr: native(key_device), ty: Type::Varchar(Some(10)) },
                        Typed { expr: native(key_floor_clean_rowtime_to_minute), ty: Type::Timestamp },
                    ],
                    arguments: vec![native(argument_user_id), native(argument_of_an_aggregate)],
                    aggregates: vec![
                        Aggregate {
                            kind: Kind::Count,
                            argument: None,
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::BigInt,
                        },
                        Aggregate {
                            kind: Kind::Count,
                            argument: Some(0),
                            is_distinct: true,
                            ignores_nulls: false,
                            ty: Type::BigInt,
                        },
                        Aggregate {
                            kind: Kind::Average,
                            argument: Some(1),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Double,
                        },
                    ],
                }
            ),
            having: Some(native(having)),
            outputs: vec![native(device), native(clicks), native(users), native(share)],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "LATEST_PUMP" AS INSERT INTO "LATEST" SELECT STREAM … FROM "CLEAN"
mod latest_pump {
    use super::*;

    // PARTITION BY "USER_ID"
    fn partition_by_user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // PARTITION BY "USER_ID"
    fn partition_by_user_id_2(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // argument "CLICK"
    fn argument_click(row: &[Value]) -> Evaluated {
        let click = &row[2];
        Ok(click.clone())
    }

    // user_id, for "USER_ID"
    fn user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // COUNT(*) OVER hour_window, for "CLICKS"
    fn clicks(row: &[Value]) -> Evaluated {
        let count_over = &row[7];
        Ok(count_over.clone())
    }

    // COALESCE(NULLIF(FIRST_VALUE(click) OVER two, click), 'the same') || CAST(EXTRACT(MINUTE FROM at) AS VARCHAR(2)), for "BEFORE"
    fn before(row: &[Value]) -> Evaluated {
        let first_value_click_over = &row[8];
        let click = &row[2];
        let at = &row[3];
        join(
            &[
                &|| coalesce(
                    &[
                        &|| nullif(first_value_click_over.clone(), click.clone()),
                        &|| Ok(Value::text("the same")),
                    ]
                ),
                &|| cast(extract(Field::Minute, at.clone())?, Type::Varchar(Some(2))),
            ]
        )
    }

    pub fn pump() -> Pump {
        Pump {
            name: "LATEST_PUMP".to_owned(),
            from: 1,
            into: 3,
            filter: None,
            work: Work::Over(
                vec![
                    Over {
                        partition: vec![native(partition_by_user_id)],
                        frame: Frame::Range(3600000),
                        arguments: vec![],
                        aggregates: vec![
                            Aggregate {
                                kind: Kind::Count,
                                argument: None,
                                is_distinct: false,
                                ignores_nulls: false,
                                ty: Type::BigInt,
                            }
                        ],
                        slots: vec![7],
                    },
                    Over {
                        partition: vec![native(partition_by_user_id_2)],
                        frame: Frame::Rows(1),
                        arguments: vec![native(argument_click)],
                        aggregates: vec![
                            Aggregate {
                                kind: Kind::First,
                                argument: Some(0),
                                is_distinct: false,
                                ignores_nulls: false,
                                ty: Type::Varchar(Some(32)),
                            }
                        ],
                        slots: vec![8],
                    },
                ]
            ),
            having: None,
            outputs: vec![native(user_id), native(clicks), native(before)],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "mod" AS INSERT INTO "WORDS" SELECT STREAM … FROM "SOURCE_SQL_STREAM_001"
mod mod_value {
    use super::*;

    // "user_id", for "type"
    fn type_value(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // '",)\' || "device_id" || '{[(' || '''' || "client_event", for "self"
    fn self_value(row: &[Value]) -> Evaluated {
        let device_id = &row[1];
        let client_event = &row[3];
        cast(
            join(
                &[
                    &|| Ok(Value::text("\",)\\")),
                    &|| Ok(device_id.clone()),
                    &|| Ok(Value::text("{[(")),
                    &|| Ok(Value::text("'")),
                    &|| Ok(client_event.clone()),
                ]
            )?,
            Type::Varchar(Some(60)),
        )
    }

    // "client_event" LIKE '%beer(_%' ESCAPE '(', for "row"
    fn row_value(row: &[Value]) -> Evaluated {
        let client_event = &row[3];
        like(client_event, &Value::text("%beer(_%"), Some('('))
    }

    // LOG10("user_id"), for "log10"
    fn log10_value(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        log10(user_id.clone())
    }

    // "user_id", for "user id"
    fn user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        Ok(user_id.clone())
    }

    // -"user_id", for "User_Id"
    fn user_id_2(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        negate(user_id.clone())
    }

    // CASE WHEN "user_id" > 10 THEN '"' WHEN "user_id" IS NULL THEN '"]' ELSE "device_id" END, for "1st"
    fn column_1st(row: &[Value]) -> Evaluated {
        let user_id = &row[0];
        let device_id = &row[1];
        cast(
            if is_true(&compare(user_id, Comparison::Greater, &Value::Int(10))) {
                Value::text("\"")
            } else if is_true(&is_null(user_id)) { Value::text("\"]") } else { device_id.clone() },
            Type::Varchar(Some(40)),
        )
    }

    pub fn pump() -> Pump {
        Pump {
            name: "mod".to_owned(),
            from: 6,
            into: 4,
            filter: None,
            work: Work::Rows,
            having: None,
            outputs: vec![
                native(type_value),
                native(self_value),
                native(row_value),
                native(log10_value),
                native(user_id),
                native(user_id_2),
                native(column_1st),
            ],
            sql: Texts::default(),
        }
    }
}

// CREATE PUMP "Mod" AS INSERT INTO "SUMS" SELECT STREAM … FROM "WORDS"
mod mod_value_2 {
    use super::*;

    // WHERE NOT "row" OR "log10" > 0.5
    fn filter(row: &[Value]) -> Evaluated {
        let row_value = &row[2];
        let log10_value = &row[3];
        or(
            &[
                &|| Ok(not(row_value)),
                &|| Ok(compare(log10_value, Comparison::Greater, &Value::Decimal(5, 1))),
            ]
        )
    }

    // PARTITION BY "self"
    fn key_self(row: &[Value]) -> Evaluated {
        let self_value = &row[1];
        Ok(self_value.clone())
    }

    // PARTITION BY "user id"
    fn key_user_id(row: &[Value]) -> Evaluated {
        let user_id = &row[4];
        Ok(user_id.clone())
    }

    // PARTITION BY STEP(words.ROWTIME BY INTERVAL '10' SECOND)
    fn key_step_words_rowtime_by_interval_10_second(row: &[Value]) -> Evaluated {
        let rowtime = &row[7];
        step(rowtime.clone(), 10000)
    }

    // argument "type"
    fn argument_type(row: &[Value]) -> Evaluated {
        let type_value = &row[0];
        Ok(type_value.clone())
    }

    // argument "1st"
    fn argument_1st(row: &[Value]) -> Evaluated {
        let column_1st = &row[6];
        Ok(column_1st.clone())
    }

    // argument "User_Id"
    fn argument_user_id(row: &[Value]) -> Evaluated {
        let user_id_2 = &row[5];
        Ok(user_id_2.clone())
    }

    // argument "log10"
    fn argument_log10(row: &[Value]) -> Evaluated {
        let log10_value = &row[3];
        Ok(log10_value.clone())
    }

    // HAVING SUM("type") > 1
    fn having(row: &[Value]) -> Evaluated {
        let sum_type = &row[4];
        Ok(compare(sum_type, Comparison::Greater, &Value::Int(1)))
    }

    // SUM("type"), for "true"
    fn true_value(row: &[Value]) -> Evaluated {
        let sum_type = &row[4];
        Ok(sum_type.clone())
    }

    // "self", for "pump"
    fn pump_value(row: &[Value]) -> Evaluated {
        let self_value = &row[0];
        Ok(self_value.clone())
    }

    // MAX("1st"), for "cast"
    fn cast_value(row: &[Value]) -> Evaluated {
        let max_1st = &row[5];
        Ok(max_1st.clone())
    }

    // SUM("User_Id"), for "having"
    fn having_2(row: &[Value]) -> Evaluated {
        let sum_user_id = &row[6];
        Ok(sum_user_id.clone())
    }

    // AVG("log10"), for "filter"
    fn filter_2(row: &[Value]) -> Evaluated {
        let avg_log10 = &row[7];
        Ok(avg_log10.clone())
    }

    pub fn pump() -> Pump {
        Pump {
            name: "Mod".to_owned(),
            from: 4,
            into: 5,
            filter: Some(native(filter)),
            work: Work::Group(
                Group {
                    window: Window::Step(10000),
                    windows: Stagger::on_event_time(Bucket::step(Duration::from_millis(10000))),
                    keys: vec![
                        Typed { expr: native(key_self), ty: Type::Varchar(Some(60)) },
                        Typed { expr: native(key_user_id), ty: Type::Integer },
                        Typed {
                            expr: native(key_step_words_rowtime_by_interval_10_second),
                            ty: Type::Timestamp,
                        },
                    ],
                    arguments: vec![
                        native(argument_type),
                        native(argument_1st),
                        native(argument_user_id),
                        native(argument_log10),
                    ],
                    aggregates: vec![
                        Aggregate {
                            kind: Kind::Sum,
                            argument: Some(0),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::BigInt,
                        },
                        Aggregate {
                            kind: Kind::Max,
                            argument: Some(1),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Varchar(Some(40)),
                        },
                        Aggregate {
                            kind: Kind::Sum,
                            argument: Some(2),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::BigInt,
                        },
                        Aggregate {
                            kind: Kind::Average,
                            argument: Some(3),
                            is_distinct: false,
                            ignores_nulls: false,
                            ty: Type::Double,
                        },
                    ],
                }
            ),
            having: Some(native(having)),
            outputs: vec![
                native(true_value),
                native(pump_value),
                native(cast_value),
                native(having_2),
                native(filter_2),
            ],
            sql: Texts::default(),
        }
    }
}
