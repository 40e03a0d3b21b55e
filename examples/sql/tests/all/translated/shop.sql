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
