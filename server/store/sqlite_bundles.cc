// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <utility>

#include "server/store/sqlite_authorities.h"
#include "server/store/sqlite_interned.h"

namespace writ {
namespace {

Status ReadX509(Sqlite& db, Bundle& bundle) {
  Statement rows = TRY(db.Query(
      "SELECT certificate, tainted FROM x509_authorities WHERE trust_domain = ? ORDER BY position",
      bundle.trust_domain.name()));
  while (TRY(rows.Step())) {
    Result<Certificate> certificate = Certificate::FromDer(rows.Bytes(0));
    if (!certificate.ok()) return BrokenRow("a broken X.509 authority");
    bundle.x509.push_back({std::move(*certificate), rows.Bool(1)});
  }
  return OkStatus();
}

Status ReadJwt(Sqlite& db, Bundle& bundle) {
  Statement rows = TRY(db.Query(
      "SELECT key_id, public_key, expires_at, tainted FROM jwt_authorities "
      "WHERE trust_domain = ? ORDER BY position",
      bundle.trust_domain.name()));
  while (TRY(rows.Step())) {
    Result<PublicKey> key = PublicKey::FromSpki(rows.Bytes(1));
    if (!key.ok()) return BrokenRow("a broken JWT authority");
    bundle.jwt.push_back({rows.Text(0), std::move(*key), rows.Int(2), rows.Bool(3)});
  }
  return OkStatus();
}

Result<std::optional<Bundle>> FindBundle(Sqlite& db, const TrustDomain& td) {
  Statement row = TRY(db.Query(
      "SELECT sequence_number, refresh_hint FROM bundles WHERE trust_domain = ?", td.name()));
  if (!TRY(row.Step())) return std::optional<Bundle>();
  Bundle bundle{.trust_domain = td,
                .sequence_number = static_cast<uint64_t>(row.Int(0)),
                .refresh_hint_seconds = row.Int(1)};
  TRY(ReadX509(db, bundle));
  TRY(ReadJwt(db, bundle));
  return std::optional<Bundle>(std::move(bundle));
}

Status WriteAuthorities(Sqlite& db, const Bundle& bundle) {
  const std::string& td = bundle.trust_domain.name();
  TRY(db.Run("DELETE FROM x509_authorities WHERE trust_domain = ?", td));
  TRY(db.Run("DELETE FROM jwt_authorities WHERE trust_domain = ?", td));
  int position = 0;
  for (const X509Authority& authority : bundle.x509) {
    TRY(db.Run("INSERT INTO x509_authorities (trust_domain, position, certificate, tainted) "
               "VALUES (?, ?, ?, ?)",
               td, position++, Blob{authority.certificate.der()}, authority.tainted));
  }
  position = 0;
  for (const JwtAuthority& authority : bundle.jwt) {
    TRY(db.Run("INSERT INTO jwt_authorities (trust_domain, position, key_id, public_key, "
               "expires_at, tainted) VALUES (?, ?, ?, ?, ?, ?)",
               td, position++, authority.key_id, Blob{authority.key.spki()}, authority.expires_at,
               authority.tainted));
  }
  return OkStatus();
}

Status PutBundle(SqliteWrite& write, const Bundle& bundle) {
  TRY(write.db.Run("INSERT INTO bundles (trust_domain, sequence_number, refresh_hint) "
                   "VALUES (?, ?, ?) ON CONFLICT (trust_domain) DO UPDATE SET "
                   "sequence_number = excluded.sequence_number, "
                   "refresh_hint = excluded.refresh_hint",
                   bundle.trust_domain.name(), bundle.sequence_number,
                   bundle.refresh_hint_seconds));
  TRY(WriteAuthorities(write.db, bundle));
  return write.Append(ChangeKind::kBundle, bundle.trust_domain.name());
}

}  // namespace

Result<Bundle> SqliteBundles::Get(const TrustDomain& td) {
  std::optional<Bundle> found;
  TRY(db_.Read([&](Sqlite& db) -> Status {
    found = TRY(FindBundle(db, td));
    return OkStatus();
  }));
  if (!found) return NotFound("the store has no bundle of trust domain " + td.name());
  return std::move(*found);
}

Result<Bundle> SqliteBundles::Edit(const TrustDomain& td,
                                   const std::function<Status(Bundle&)>& edit) {
  Bundle bundle{.trust_domain = td};
  TRY(db_.Write([&](SqliteWrite& write) -> Status {
    std::optional<Bundle> stored = TRY(FindBundle(write.db, td));
    const Bundle before = stored ? std::move(*stored) : bundle;
    bundle = before;
    TRY(edit(bundle));
    CHECK(bundle.trust_domain == td);
    bundle.sequence_number = before.sequence_number;
    if (bundle == before) return OkStatus();
    ++bundle.sequence_number;
    return PutBundle(write, bundle);
  }));
  return bundle;
}

}  // namespace writ
