// SPDX-License-Identifier: Apache-2.0
#include "server/store/sqlite_schema.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/base/bytes.h"

namespace writ {
namespace {

constexpr int64_t kApplicationId = 0x57524954;  // "WRIT": marks the file as ours

// SPIFFE IDs and selectors stand once each and count their uses. A set of selectors is the blob of
// their numbers, ascending, four bytes each with the highest first: equal sets are equal blobs, so
// one UNIQUE index refuses similar entries.
constexpr char kVersion1[] = R"(
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('closed_cleanly', 0);

CREATE TABLE changes (
  sequence INTEGER PRIMARY KEY,
  kind     INTEGER NOT NULL,
  id       TEXT NOT NULL
) STRICT;

CREATE TABLE ids (
  id   INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE,
  uses INTEGER NOT NULL
) STRICT;

CREATE TABLE selectors (
  id    INTEGER PRIMARY KEY,
  type  TEXT NOT NULL,
  value TEXT NOT NULL,
  uses  INTEGER NOT NULL,
  UNIQUE (type, value)
) STRICT;

CREATE TABLE entries (
  entry_id       TEXT PRIMARY KEY,
  spiffe_id      INTEGER NOT NULL REFERENCES ids (id),
  parent_id      INTEGER NOT NULL REFERENCES ids (id),
  selectors      BLOB NOT NULL,
  revision       INTEGER NOT NULL,
  created_at     INTEGER NOT NULL,
  expires_at     INTEGER NOT NULL,
  x509_ttl       INTEGER NOT NULL,
  jwt_ttl        INTEGER NOT NULL,
  admin          INTEGER NOT NULL,
  downstream     INTEGER NOT NULL,
  store_svid     INTEGER NOT NULL,
  has_additional_attributes  INTEGER NOT NULL,
  disable_x509_svid_prefetch INTEGER NOT NULL,
  jwt_svid_include_jti       INTEGER NOT NULL,
  hint           TEXT NOT NULL,
  dns_names      TEXT NOT NULL,  -- a JSON array, or nothing
  federates_with TEXT NOT NULL,  -- likewise
  UNIQUE (spiffe_id, parent_id, selectors)
) STRICT, WITHOUT ROWID;
CREATE INDEX entries_by_parent ON entries (parent_id);

CREATE TABLE agents (
  id                INTEGER PRIMARY KEY REFERENCES ids (id),
  attestation_type  TEXT NOT NULL,
  serial            TEXT NOT NULL,
  not_after         INTEGER NOT NULL,
  pending_serial    TEXT NOT NULL,
  pending_not_after INTEGER NOT NULL,
  may_reattest      INTEGER NOT NULL,
  banned            INTEGER NOT NULL,
  selectors         BLOB NOT NULL,
  agent_version     TEXT NOT NULL,
  attested_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE join_tokens (
  token      TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL,
  alias      TEXT REFERENCES entries (entry_id) ON DELETE SET NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX join_tokens_by_expiry ON join_tokens (expires_at);
CREATE INDEX join_tokens_by_alias ON join_tokens (alias);

CREATE TABLE bundles (
  trust_domain    TEXT PRIMARY KEY,
  sequence_number INTEGER NOT NULL,
  refresh_hint    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE x509_authorities (
  trust_domain TEXT NOT NULL REFERENCES bundles (trust_domain) ON DELETE CASCADE,
  position     INTEGER NOT NULL,
  certificate  BLOB NOT NULL,
  tainted      INTEGER NOT NULL,
  PRIMARY KEY (trust_domain, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE jwt_authorities (
  trust_domain TEXT NOT NULL REFERENCES bundles (trust_domain) ON DELETE CASCADE,
  position     INTEGER NOT NULL,
  key_id       TEXT NOT NULL,
  public_key   BLOB NOT NULL,
  expires_at   INTEGER NOT NULL,
  tainted      INTEGER NOT NULL,
  PRIMARY KEY (trust_domain, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE ca_journal (
  position     INTEGER PRIMARY KEY,
  authority_id TEXT NOT NULL UNIQUE,
  kind         INTEGER NOT NULL,
  status       INTEGER NOT NULL,
  key_name     TEXT NOT NULL,
  certificate  BLOB NOT NULL,
  public_key   BLOB NOT NULL,
  issued_at    INTEGER NOT NULL,
  not_after    INTEGER NOT NULL,
  activated_at INTEGER NOT NULL
) STRICT;
)";

// Expired agents are found without looking at the others.
constexpr char kVersion2[] = R"(
CREATE INDEX agents_by_expiry ON agents (not_after);
)";

// How far a change reaches, which a follower needs to tell it to the agents that it concerns.
constexpr char kVersion3[] = "ALTER TABLE changes ADD COLUMN moved_from TEXT";

// Expired entries are found likewise; few have an end.
constexpr char kVersion4[] = R"(
CREATE INDEX entries_by_expiry ON entries (expires_at) WHERE expires_at <> 0;
)";

// Lists come in the order of creation: by the number of the change that created. What was there
// before has numbers below those.
constexpr char kVersion5[] = R"(
ALTER TABLE entries ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;
UPDATE entries SET ordinal = o.place FROM (
  SELECT entry_id AS id, -row_number() OVER (ORDER BY created_at DESC, entry_id DESC) AS place
  FROM entries
) AS o WHERE o.id = entries.entry_id;
ALTER TABLE agents ADD COLUMN ordinal INTEGER NOT NULL DEFAULT 0;
UPDATE agents SET ordinal = o.place FROM (
  SELECT a.id AS id, -row_number() OVER (ORDER BY a.attested_at DESC, i.text DESC) AS place
  FROM agents a JOIN ids i ON i.id = a.id
) AS o WHERE o.id = agents.id;
)";

constexpr const char* kSteps[] = {kVersion1, kVersion2, kVersion3, kVersion4, kVersion5};

Status RunStep(Sqlite& db, const char* step, int64_t version) {
  TRY(db.RunScript(step));
  TRY(db.RunScript("PRAGMA application_id = " + std::to_string(kApplicationId)));
  TRY(db.RunScript("PRAGMA user_version = " + std::to_string(version)));
  return db.RunScript("COMMIT");
}

// Type, name, table and text of each object.
using SchemaObjects = std::set<std::tuple<std::string, std::string, std::string, std::string>>;

Result<SchemaObjects> ObjectsOf(Sqlite& db) {
  SchemaObjects objects;
  Statement all = TRY(db.Query("SELECT type, name, tbl_name, sql FROM sqlite_schema"));
  while (TRY(all.Step())) objects.emplace(all.Text(0), all.Text(1), all.Text(2), all.Text(3));
  return objects;
}

Status DiffersIn(const SchemaObjects& some, const SchemaObjects& others, const char* how) {
  for (const auto& object : some) {
    if (others.contains(object)) continue;
    return FailedPrecondition("its schema is not Writ's: the " + Printable(std::get<0>(object)) +
                              " " + Printable(std::get<1>(object)) + how);
  }
  return OkStatus();
}

}  // namespace

std::span<const char* const> SchemaSteps() { return kSteps; }

Result<int64_t> SchemaVersion(Sqlite& db, std::span<const char* const> steps) {
  if (TRY(db.Number("SELECT count(*) FROM sqlite_schema")) == 0) return int64_t{0};
  if (TRY(db.Number("PRAGMA application_id")) != kApplicationId) {
    return FailedPrecondition(
        "the SQLite file was made by another program: set datastore.sqlite.path to a file of "
        "Writ's own");
  }
  const int64_t version = TRY(db.Number("PRAGMA user_version"));
  if (version > static_cast<int64_t>(steps.size())) {
    return FailedPrecondition(
        "the store has schema version " + std::to_string(version) +
        " and this program knows versions up to " + std::to_string(steps.size()) +
        ": run the newer Writ that wrote it, or put back a backup from before the upgrade");
  }
  return version;
}

Status CheckSchema(Sqlite& db, std::span<const char* const> steps) {
  const int64_t version = TRY(SchemaVersion(db, steps));
  std::unique_ptr<Sqlite> fresh = TRY(Sqlite::Open(":memory:", Sqlite::Access::kCreate));
  TRY(Migrate(*fresh, steps.first(static_cast<size_t>(version))));
  const SchemaObjects ours = TRY(ObjectsOf(*fresh));
  const SchemaObjects found = TRY(ObjectsOf(db));
  TRY(DiffersIn(found, ours, " is not one of its own"));
  return DiffersIn(ours, found, " is missing");
}

Status Migrate(Sqlite& db, std::span<const char* const> steps) {
  const int64_t first = TRY(SchemaVersion(db, steps));
  for (int64_t version = first; version < static_cast<int64_t>(steps.size()); ++version) {
    const std::string deed = "bring the store's schema to version " + std::to_string(version + 1);
    TRY(db.RunScript("BEGIN IMMEDIATE"), deed);
    if (Status done = RunStep(db, steps[static_cast<size_t>(version)], version + 1); !done.ok()) {
      if (db.InTransaction()) TRY(db.RunScript("ROLLBACK"), done.message());
      return done.Annotate(deed);
    }
  }
  return OkStatus();
}

}  // namespace writ
