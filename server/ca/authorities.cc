// SPDX-License-Identifier: Apache-2.0
//
// Each step reads what is durable (journal, bundle, keys) and does what that lacks, so that a crash
// or a failure between two steps needs no recovery of its own: the next step goes on from there.
#include "server/ca/authorities.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/mutex.h"
#include "server/ca/journal.h"
#include "server/ca/schedule.h"
#include "server/ca/x509_ca.h"

namespace writ {
namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(5);
// Wall time can jump, so that no step is awaited for longer than this.
constexpr Duration kStepEveryMax = std::chrono::minutes(1);
constexpr size_t kKeyNameRandomBytes = 8;
constexpr size_t kKidRandomBytes = 16;
constexpr std::array kKinds = {AuthorityKind::kX509, AuthorityKind::kJwt};

std::string_view KindName(AuthorityKind kind) {
  return kind == AuthorityKind::kX509 ? "X.509" : "JWT";
}

// Our keys begin with one of these; other keys in the KeyManager are none of our business.
std::string KeyPrefix(AuthorityKind kind) {
  return kind == AuthorityKind::kX509 ? "ca-x509-" : "ca-jwt-";
}

bool InBundle(const Bundle& bundle, const Authority& authority) {
  if (authority.row.kind == AuthorityKind::kJwt) {
    return bundle.FindJwt(authority.row.authority_id) != nullptr;
  }
  return std::any_of(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& x509) {
    return x509.certificate == *authority.certificate;
  });
}

bool TaintedX509(const Bundle& bundle, const std::string& authority_id) {
  return std::any_of(bundle.x509.begin(), bundle.x509.end(), [&](const X509Authority& x509) {
    return x509.tainted && HexEncode(x509.certificate.subject_key_id()) == authority_id;
  });
}

bool TaintedJwt(const Bundle& bundle, const std::string& key_id) {
  const JwtAuthority* jwt = bundle.FindJwt(key_id);
  return jwt != nullptr && jwt->tainted;
}

Status AddToBundle(const Authority& authority, Bundle& bundle) {
  if (InBundle(bundle, authority)) return OkStatus();
  if (authority.row.kind == AuthorityKind::kX509) {
    bundle.x509.push_back({*authority.certificate});
    return OkStatus();
  }
  PublicKey key = TRY(PublicKey::FromSpki(authority.row.public_key));
  bundle.jwt.push_back({authority.row.authority_id, std::move(key), authority.row.not_after});
  return OkStatus();
}

class LocalAuthorities final : public Authorities {
 public:
  explicit LocalAuthorities(AuthoritiesOptions options)
      : options_(std::move(options)),
        journal_(options_.trust_domain, options_.store->journal(), *options_.keys,
                 *options_.log) {}

  Status Start();
  std::shared_ptr<const X509Ca> CurrentX509() const override;
  std::shared_ptr<const JwtSigner> CurrentJwt() const override;
  void OnBundleChange() override;
  Time Step() override;

 private:
  // An authority on its way into the journal. It keeps its key's name, and once it is made itself,
  // over failed attempts, so that retrying never makes another one.
  struct Pending {
    std::string key_name;
    std::optional<Authority> made;
  };

  Status StepAll(Time now);
  Status StepKind(AuthorityKind kind, Time now);
  Status Prepare(AuthorityKind kind, Time now);
  Result<Authority> Make(AuthorityKind kind, const std::string& key_name, Time now);
  Result<bool> Publish(AuthorityKind kind);
  Status Activate(AuthorityKind kind, Time now);
  void Adopt(AuthorityKind kind);
  void ShowTaints() REQUIRES(mu_);
  bool MaySign(const Authority* authority, Time now) const;
  Status GiveUpPrepared(AuthorityKind kind, Time now);
  Status Prune(Time now);
  Status RemoveStrayKeys();
  Time NextStepAt(Time now) const;
  Pending& PendingOf(AuthorityKind kind) { return kind == AuthorityKind::kX509 ? x509_ : jwt_; }

  const AuthoritiesOptions options_;  // constant after construction
  Journal journal_;                   // the stepping loop's
  Pending x509_;                      // the stepping loop's
  Pending jwt_;                       // the stepping loop's
  bool keys_may_stray_ = true;        // the stepping loop's; true at the start
  mutable Mutex mu_;
  std::shared_ptr<const X509Ca> current_x509_ GUARDED_BY(mu_);
  std::shared_ptr<const JwtSigner> current_jwt_ GUARDED_BY(mu_);
};

// What the last run left goes first, so that starts which fail one after another pile up no keys.
Status LocalAuthorities::Start() {
  TRY(journal_.Refresh());
  TRY(RemoveStrayKeys(), "remove the keys of unfinished authorities");
  TRY(StepAll(options_.clock->Now()));
  CHECK(CurrentX509() != nullptr && CurrentJwt() != nullptr);
  return OkStatus();
}

std::shared_ptr<const X509Ca> LocalAuthorities::CurrentX509() const {
  MutexLock lock(mu_);
  return current_x509_;
}

std::shared_ptr<const JwtSigner> LocalAuthorities::CurrentJwt() const {
  MutexLock lock(mu_);
  return current_jwt_;
}

Time LocalAuthorities::Step() {
  Time now = options_.clock->Now();
  Status status = StepAll(now);
  if (status.ok()) return NextStepAt(now);
  options_.log->Error("A step in the life of the signing authorities failed and is retried",
                      {{"error", status}, {"retry_in", FormatDuration(kRetryAfter)}});
  return now + kRetryAfter;
}

// One kind's trouble does not keep the other waiting.
Status LocalAuthorities::StepAll(Time now) {
  Status first_failure;
  for (AuthorityKind kind : kKinds) {
    Status status = StepKind(kind, now);
    if (first_failure.ok()) {
      first_failure = status.Annotate(std::string(KindName(kind)) + " authority");
    }
  }
  TRY(first_failure);
  TRY(Prune(now), "prune");
  return RemoveStrayKeys().Annotate("remove the keys of pruned authorities");
}

Status LocalAuthorities::StepKind(AuthorityKind kind, Time now) {
  TRY(journal_.Refresh());
  Adopt(kind);
  // A write that failed may have been stored after all: what the journal has is on its way no more.
  Pending& pending = PendingOf(kind);
  if (pending.made && journal_.Holds(pending.made->row.authority_id)) pending = Pending{};
  TRY(GiveUpPrepared(kind, now));
  const Authority* prepared = journal_.Find(kind, AuthorityStatus::kPrepared);
  const Authority* active = journal_.Find(kind, AuthorityStatus::kActive);
  const bool urgent = !MaySign(active, now);
  if (prepared == nullptr && (urgent || now >= PrepareSuccessorAt(active->row))) {
    TRY(Prepare(kind, now), "prepare");
  }
  const bool published_now = TRY(Publish(kind), "publish");
  if (journal_.Find(kind, AuthorityStatus::kPrepared) == nullptr) return OkStatus();
  // Signing with what others could not have seen yet is for emergencies only.
  active = journal_.Find(kind, AuthorityStatus::kActive);
  if (urgent || (now >= ActivateSuccessorAt(active->row) && !published_now)) {
    TRY(Activate(kind, now), "activate");
  }
  return OkStatus();
}

bool LocalAuthorities::MaySign(const Authority* authority, Time now) const {
  if (authority == nullptr || !authority->UsableAt(now)) return false;
  const std::shared_ptr<const Bundle> bundle = options_.bundle->Current();
  const std::string& id = authority->row.authority_id;
  return authority->row.kind == AuthorityKind::kX509 ? !TaintedX509(*bundle, id)
                                                     : !TaintedJwt(*bundle, id);
}

Status LocalAuthorities::GiveUpPrepared(AuthorityKind kind, Time now) {
  const Authority* prepared = journal_.Find(kind, AuthorityStatus::kPrepared);
  if (prepared == nullptr || MaySign(prepared, now)) return OkStatus();
  options_.log->Warn("A prepared authority can no longer be used and is given up",
                     {{"authority_id", prepared->row.authority_id}});
  return journal_.Retire(prepared->row.authority_id);
}

Status LocalAuthorities::Prepare(AuthorityKind kind, Time now) {
  Pending& pending = PendingOf(kind);
  if (pending.made && !pending.made->UsableAt(now)) {
    // The journal was away for this one's whole life, and is known not to have it.
    TRY(options_.keys->Remove(pending.key_name));
    pending = Pending{};
  }
  if (pending.key_name.empty()) {
    pending.key_name = KeyPrefix(kind) + HexEncode(options_.random->Bytes(kKeyNameRandomBytes));
  }
  if (!pending.made) pending.made = TRY(Make(kind, pending.key_name, now));
  TRY(journal_.Add(*pending.made));
  const JournalRow row = std::exchange(pending, Pending{}).made->row;
  options_.log->Info("Authority prepared",
                     {{"kind", KindName(kind)},
                      {"authority_id", row.authority_id},
                      {"expires", FormatTime(FromUnixSeconds(row.not_after))}});
  return OkStatus();
}

Result<Authority> LocalAuthorities::Make(AuthorityKind kind, const std::string& key_name,
                                         Time now) {
  const bool x509 = kind == AuthorityKind::kX509;
  Authority authority;
  authority.signer = TRY(options_.keys->Generate(
      key_name, x509 ? options_.x509_key_type : options_.jwt_key_type));
  const Time issued_at = FromUnixSeconds(ToUnixSeconds(now));
  authority.row = {.kind = kind,
                   .status = AuthorityStatus::kPrepared,
                   .key_name = key_name,
                   .public_key = authority.signer->Public().spki(),
                   .issued_at = ToUnixSeconds(issued_at),
                   .not_after = ToUnixSeconds(issued_at + options_.ttl)};
  if (!x509) {
    authority.row.authority_id = HexEncode(options_.random->Bytes(kKidRandomBytes));
    return authority;
  }
  authority.certificate = TRY(MakeX509Ca({.trust_domain = options_.trust_domain,
                                          .subject = options_.subject,
                                          .issued_at = issued_at,
                                          .ttl = options_.ttl},
                                         *authority.signer, *options_.random));
  authority.row.authority_id = HexEncode(authority.certificate->subject_key_id());
  authority.row.certificate = authority.certificate->der();
  return authority;
}

// Puts into the bundle what the journal has and the bundle lacks. True when there was something.
Result<bool> LocalAuthorities::Publish(AuthorityKind kind) {
  std::vector<const Authority*> missing;
  std::shared_ptr<const Bundle> bundle = options_.bundle->Current();
  for (const Authority& authority : journal_.authorities()) {
    if (authority.row.kind != kind || authority.row.status == AuthorityStatus::kOld) continue;
    if (!InBundle(*bundle, authority)) missing.push_back(&authority);
  }
  if (missing.empty()) return false;
  TRY(options_.bundle->Edit([&](Bundle& stored) {
    for (const Authority* authority : missing) TRY(AddToBundle(*authority, stored));
    return OkStatus();
  }));
  return true;
}

Status LocalAuthorities::Activate(AuthorityKind kind, Time now) {
  const std::string id = journal_.Find(kind, AuthorityStatus::kPrepared)->row.authority_id;
  TRY(journal_.Activate(id, now));
  Adopt(kind);
  options_.log->Info("Authority activated", {{"kind", KindName(kind)}, {"authority_id", id}});
  return OkStatus();
}

// Before the loop has come to it, so that not even one more credential is signed.
void LocalAuthorities::OnBundleChange() {
  MutexLock lock(mu_);
  ShowTaints();
}

// By the bundle as it is at this moment: whichever of a change and an adoption comes last sees the
// other.
void LocalAuthorities::ShowTaints() {
  const std::shared_ptr<const Bundle> bundle = options_.bundle->Current();
  auto show = [&](auto& current, bool tainted, AuthorityKind kind) {
    if (tainted == current->tainted) return;
    auto changed = *current;
    changed.tainted = tainted;
    current = std::make_shared<const decltype(changed)>(std::move(changed));
    if (!tainted) return;
    options_.log->Warn("The authority that signs is tainted: a successor takes its place",
                       {{"kind", KindName(kind)}, {"authority_id", current->authority_id}});
  };
  if (current_x509_) {
    show(current_x509_, TaintedX509(*bundle, current_x509_->authority_id), AuthorityKind::kX509);
  }
  if (current_jwt_) {
    show(current_jwt_, TaintedJwt(*bundle, current_jwt_->authority_id), AuthorityKind::kJwt);
  }
}

// Shows requests the authority that the journal calls active, if it can sign at all.
void LocalAuthorities::Adopt(AuthorityKind kind) {
  const Authority* active = journal_.Find(kind, AuthorityStatus::kActive);
  if (active == nullptr || active->signer == nullptr) return;
  const JournalRow& row = active->row;
  MutexLock lock(mu_);
  const bool known = kind == AuthorityKind::kX509
                         ? current_x509_ && current_x509_->authority_id == row.authority_id
                         : current_jwt_ && current_jwt_->authority_id == row.authority_id;
  if (known) return;
  if (kind == AuthorityKind::kX509) {
    current_x509_ = std::make_shared<const X509Ca>(X509Ca{
        row.authority_id, *active->certificate, active->signer, FromUnixSeconds(row.activated_at)});
  } else {
    current_jwt_ = std::make_shared<const JwtSigner>(
        JwtSigner{row.authority_id, active->signer, FromUnixSeconds(row.not_after)});
  }
  ShowTaints();
}

// Bundle, then journal; the keys go as strays. Whatever a crash or a failure leaves over is found
// again by its expiry, or by the search for stray keys. Roots that others added to the bundle
// expire by the same rule.
Status LocalAuthorities::Prune(Time now) {
  auto due = [&](int64_t expires_at) { return now >= PruneAt(expires_at); };
  auto x509_due = [&](const X509Authority& authority) {
    return due(ToUnixSeconds(authority.certificate.not_after()));
  };
  auto jwt_due = [&](const JwtAuthority& authority) {
    return authority.expires_at != 0 && due(authority.expires_at);
  };
  std::shared_ptr<const Bundle> bundle = options_.bundle->Current();
  if (std::any_of(bundle->x509.begin(), bundle->x509.end(), x509_due) ||
      std::any_of(bundle->jwt.begin(), bundle->jwt.end(), jwt_due)) {
    TRY(options_.bundle->Edit([&](Bundle& stored) {
      std::erase_if(stored.x509, x509_due);
      std::erase_if(stored.jwt, jwt_due);
      return OkStatus();
    }), "the bundle");
    options_.log->Info("Expired authorities pruned from the bundle");
  }
  std::vector<std::string> ids;
  for (const Authority& authority : journal_.authorities()) {
    if (authority.row.status != AuthorityStatus::kOld || !due(authority.row.not_after)) continue;
    ids.push_back(authority.row.authority_id);
  }
  if (ids.empty()) return OkStatus();
  keys_may_stray_ = true;  // even if this fails: the journal may have done it all the same
  return journal_.Remove(ids).Annotate("the journal");
}

// Keys whose authority never reached the journal, or has left it already.
Status LocalAuthorities::RemoveStrayKeys() {
  if (!keys_may_stray_) return OkStatus();
  for (const std::string& name : TRY(options_.keys->List())) {
    const bool wanted = name == x509_.key_name || name == jwt_.key_name ||
                        std::any_of(journal_.authorities().begin(), journal_.authorities().end(),
                                    [&](const Authority& a) { return a.row.key_name == name; });
    if (IsAuthorityKey(name) && !wanted) TRY(options_.keys->Remove(name));
  }
  keys_may_stray_ = false;
  return OkStatus();
}

Time LocalAuthorities::NextStepAt(Time now) const {
  Time next = now + kStepEveryMax;
  for (AuthorityKind kind : kKinds) {
    const Authority* active = journal_.Find(kind, AuthorityStatus::kActive);
    CHECK(active != nullptr);  // a step that succeeded left one
    bool has_successor = journal_.Find(kind, AuthorityStatus::kPrepared) != nullptr;
    Time due = has_successor ? ActivateSuccessorAt(active->row) : PrepareSuccessorAt(active->row);
    next = std::min(next, due > now ? due : now + kBundleSettles);
  }
  for (const Authority& authority : journal_.authorities()) {
    next = std::min(next, std::max(PruneAt(authority.row.not_after), now + kRetryAfter));
  }
  return next;
}

}  // namespace

bool IsAuthorityKey(std::string_view name) {
  return std::ranges::any_of(kKinds, [name](AuthorityKind kind) {
    return name.starts_with(KeyPrefix(kind));
  });
}

Result<std::unique_ptr<Authorities>> Authorities::Open(AuthoritiesOptions options) {
  auto authorities = std::make_unique<LocalAuthorities>(std::move(options));
  TRY(authorities->Start(), "start the signing authorities");
  return std::unique_ptr<Authorities>(std::move(authorities));
}

}  // namespace writ
