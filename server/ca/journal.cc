// SPDX-License-Identifier: Apache-2.0
#include "server/ca/journal.h"

#include <algorithm>

#include "server/ca/schedule.h"
#include "server/ca/x509_ca.h"

namespace writ {

bool Authority::UsableAt(Time now) const { return signer != nullptr && MaySignAt(row, now); }

Status Journal::Refresh() {
  if (current_) return OkStatus();
  std::vector<Authority> loaded;
  for (const JournalRow& row : TRY(store_.Load(), "read the CA journal")) {
    loaded.push_back(TRY(LoadAuthority(row), "load authority " + row.authority_id));
  }
  authorities_ = std::move(loaded);
  current_ = true;
  return OkStatus();
}

Result<Authority> ReadAuthority(const JournalRow& row, const TrustDomain& td) {
  Authority authority{.row = row};
  if (row.kind == AuthorityKind::kX509) {
    authority.certificate = TRY(Certificate::FromDer(row.certificate), "read its certificate");
  }
  if (row.status == AuthorityStatus::kOld) return authority;
  PublicKey key = TRY(PublicKey::FromSpki(row.public_key), "read its public key");
  if (authority.certificate) {
    TRY(CheckX509Ca(*authority.certificate, td, key), "check its certificate");
  }
  return authority;
}

// A key that is gone is no error: the authority is replaced as if it had expired, and its root
// stays in the bundle. Anything else that is wrong with it is, because it may come right again.
Result<Authority> Journal::LoadAuthority(const JournalRow& row) const {
  Authority authority = TRY(ReadAuthority(row, trust_domain_));
  if (row.status == AuthorityStatus::kOld) return authority;
  Result<std::shared_ptr<Signer>> signer = keys_.Get(row.key_name);
  if (signer.code() == Code::kNotFound ||
      (signer.ok() && (*signer)->Public().spki() != row.public_key)) {
    log_.Error("The key of an authority is gone; a new authority takes its place. To keep the old "
               "one, stop the server and restore its key",
               {{"authority_id", row.authority_id}, {"key", row.key_name}});
    return authority;
  }
  authority.signer = TRY(std::move(signer));
  return authority;
}

const Authority* Journal::Find(AuthorityKind kind, AuthorityStatus status) const {
  auto it = std::find_if(authorities_.rbegin(), authorities_.rend(), [&](const Authority& a) {
    return a.row.kind == kind && a.row.status == status;
  });
  return it == authorities_.rend() ? nullptr : &*it;
}

bool Journal::Holds(const std::string& authority_id) const {
  return std::any_of(authorities_.begin(), authorities_.end(), [&](const Authority& authority) {
    return authority.row.authority_id == authority_id;
  });
}

Status Journal::Add(Authority authority) {
  TRY(Apply({authority.row}, {}));
  authorities_.push_back(std::move(authority));
  return OkStatus();
}

Status Journal::Activate(const std::string& authority_id, Time now) {
  std::vector<Authority> next = authorities_;
  auto chosen = std::find_if(next.begin(), next.end(), [&](const Authority& authority) {
    return authority.row.authority_id == authority_id;
  });
  CHECK(chosen != next.end());
  std::vector<JournalRow> put;
  for (Authority& authority : next) {
    bool replaced = authority.row.kind == chosen->row.kind &&
                    authority.row.status == AuthorityStatus::kActive;
    if (!replaced) continue;
    authority.row.status = AuthorityStatus::kOld;
    authority.signer = nullptr;
    put.push_back(authority.row);
  }
  chosen->row.status = AuthorityStatus::kActive;
  chosen->row.activated_at = ToUnixSeconds(now);
  put.push_back(chosen->row);
  TRY(Apply(put, {}));
  authorities_ = std::move(next);
  return OkStatus();
}

Status Journal::Retire(const std::string& authority_id) {
  for (Authority& authority : authorities_) {
    if (authority.row.authority_id != authority_id) continue;
    JournalRow row = authority.row;
    row.status = AuthorityStatus::kOld;
    TRY(Apply({row}, {}));
    authority.row = std::move(row);
    authority.signer = nullptr;
  }
  return OkStatus();
}

Status Journal::Remove(const std::vector<std::string>& authority_ids) {
  TRY(Apply({}, authority_ids));
  std::erase_if(authorities_, [&](const Authority& authority) {
    return std::find(authority_ids.begin(), authority_ids.end(), authority.row.authority_id) !=
           authority_ids.end();
  });
  return OkStatus();
}

Status Journal::Apply(const std::vector<JournalRow>& put, const std::vector<std::string>& remove) {
  Status status = store_.Apply(put, remove);
  current_ = status.ok();
  return status.Annotate("write the CA journal");
}

}  // namespace writ
