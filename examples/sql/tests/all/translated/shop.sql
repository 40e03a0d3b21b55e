-- An application with every kind of window, for the test of `sql translate`.
CREATE OR REPLACE STREAM visits (visit VARCHAR(60), user_id INTEGER, device VARCHAR(10), bucket TIMESTAMP,
    clicks INTEGER, first_click VARCHAR(32), last_click VARCHAR(32), seconds INTEGER);
CREATE OR REPLACE STREAM clean (user_id INTEGER, device VARCHAR(10), click VARCHAR(32), at TIMESTAMP, is_cart BOOLEAN);
CREATE OR REPLACE STREAM minutes (device VARCHAR(10), clicks INTEGER, users INTEGER, share DOUBLE);
CREATE OR REPLACE STREAM latest (user_id INTEGER, clicks BIGINT, before VARCHAR(40));

CREATE OR REPLACE PUMP visit_pump AS INSERT INTO visits
SELECT STREAM UPPER(CAST("user_id" AS VARCHAR(9)) || '_' || SUBSTRING("device_id", 1, 3)
        || CAST(UNIX_TIMESTAMP(STEP("client_timestamp" BY INTERVAL '30' SECOND)) / 1000 AS VARCHAR(20))),
    "user_id", "device_id", STEP("client_timestamp" BY INTERVAL '30' SECOND), COUNT("client_event"),
    FIRST_VALUE("client_event"), LAST_VALUE("client_event"),
    TSDIFF(MAX("client_timestamp"), MIN("client_timestamp")) / 1000
FROM SOURCE_SQL_STREAM_001
WINDOWED BY STAGGER (PARTITION BY "user_id", "device_id", STEP("client_timestamp" BY INTERVAL '30' SECOND)
    RANGE INTERVAL '30' SECOND);

CREATE OR REPLACE PUMP clean_pump AS INSERT INTO clean
SELECT STREAM "user_id", "device_id", LOWER(TRIM("client_event")), "client_timestamp",
    "client_event" LIKE '%cart%' OR "client_event" IN ('beer_checkout', NULL)
FROM SOURCE_SQL_STREAM_001
WHERE NOT ("device_id" = 'tablet' AND "user_id" BETWEEN 1 AND 99) AND "client_event" IS NOT NULL;

CREATE OR REPLACE PUMP minute_pump AS INSERT INTO minutes
SELECT STREAM device, COUNT(*), COUNT(DISTINCT user_id), AVG(CASE WHEN is_cart THEN 1.0E0 ELSE 0.0E0 END)
FROM clean
GROUP BY device, FLOOR(clean.ROWTIME TO MINUTE)
HAVING COUNT(*) > 2;

CREATE OR REPLACE PUMP latest_pump AS INSERT INTO latest
SELECT STREAM user_id, COUNT(*) OVER hour_window,
    COALESCE(NULLIF(FIRST_VALUE(click) OVER two, click), 'the same') || CAST(EXTRACT(MINUTE FROM at) AS VARCHAR(2))
FROM clean
WINDOW hour_window AS (PARTITION BY user_id RANGE INTERVAL '1' HOUR PRECEDING),
    two AS (PARTITION BY user_id ROWS 1 PRECEDING);

-- Names that are words of Rust, names that look alike, and texts with brackets.
CREATE OR REPLACE STREAM words ("type" INTEGER, "self" VARCHAR(60), "row" BOOLEAN, "log10" DOUBLE, "user id" INTEGER,
    "User_Id" INTEGER, "1st" VARCHAR(40));
CREATE OR REPLACE STREAM sums ("true" BIGINT, "pump" VARCHAR(99), "cast" VARCHAR(99), "having" BIGINT, "filter" DOUBLE);
CREATE OR REPLACE PUMP "mod" AS INSERT INTO words
SELECT STREAM "user_id", '",)\' || "device_id" || '{[(' || '''' || "client_event", "client_event" LIKE '%beer(_%' ESCAPE '(',
    LOG10("user_id"), "user_id", -"user_id", CASE WHEN "user_id" > 10 THEN '"' WHEN "user_id" IS NULL THEN '"]' ELSE "device_id" END
FROM SOURCE_SQL_STREAM_001;
CREATE OR REPLACE PUMP "Mod" AS INSERT INTO sums
SELECT STREAM SUM("type"), "self", MAX("1st"), SUM("User_Id"), AVG("log10")
FROM words WHERE NOT "row" OR "log10" > 0.5
GROUP BY "self", "user id", STEP(words.ROWTIME BY INTERVAL '10' SECOND)
HAVING SUM("type") > 1;
