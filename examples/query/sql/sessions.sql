-- Sessions with corrected rows in the place of those that they correct: a row is left out if a row of
-- another session names it in `supersedes`, or one of the same session that has a higher revision.
CREATE OR REPLACE VIEW sessions AS
SELECT s.*
FROM "aggregated" s
LEFT JOIN (
  SELECT
    old_id,
    max(CASE WHEN new_id = old_id THEN revision END) AS newest,
    bool_or(new_id <> old_id) AS is_merged
  FROM (
    SELECT session_id AS new_id, revision, unnest(split(supersedes, ',')) AS old_id
    FROM "aggregated"
    WHERE revision > 0
  ) AS corrections
  GROUP BY old_id
) AS c ON s.session_id = c.old_id
WHERE c.old_id IS NULL OR (NOT c.is_merged AND coalesce(s.revision, 0) >= c.newest);
