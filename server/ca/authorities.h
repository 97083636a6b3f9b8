// SPDX-License-Identifier: Apache-2.0
//
// Authorities: the server's signing authorities, X.509 and JWT, and their life: prepared at half of
// the active one's life, activated at five sixths, pruned from the bundle 24 h after they expire.
//
// Prepare: key durable, then journal, then bundle, each durable before the next. Activate only what
// the bundle has held since then. A failed journal write stops the step and is retried; it never
// makes a new authority. A restart at any point changes no authority and loses no root.
//
// One that the bundle calls tainted signs nothing any more: a prepared successor takes its place at
// once, or else one that is made at once. The tainted one stays in the bundle, so that what it
// signed holds until it is replaced.
//
// Threads: thread-safe. Step() is called by one loop.
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/base/status.h"
#include "core/crypto/key.h"
#include "core/crypto/signer.h"
#include "core/crypto/x509.h"
#include "core/keys/key_manager.h"
#include "server/bundle/bundle_holder.h"
#include "server/store/store.h"

namespace writ {

// How long a bundle that holds a new authority takes to be everywhere: agents look every few
// seconds.
inline constexpr Duration kBundleSettles = std::chrono::seconds(30);

// An authority that signs. Immutable; taken as a snapshot per request.
struct X509Ca {
  std::string authority_id;  // hex of the SKI
  Certificate certificate;
  std::shared_ptr<Signer> signer;
  Time active_since{};   // the bundle has held it since then at the latest
  bool tainted = false;  // then it shall not sign, and the next is on its way
};
struct JwtSigner {
  std::string authority_id;  // the kid
  std::shared_ptr<Signer> signer;
  Time not_after;
  bool tainted = false;  // likewise
};

struct AuthoritiesOptions {
  TrustDomain trust_domain;
  Duration ttl = std::chrono::hours(24);
  KeyType x509_key_type = KeyType::kEcP256;
  KeyType jwt_key_type = KeyType::kEcP256;
  Subject subject;  // the serial number attribute is added by us
  Store* store;            // all borrowed
  BundleHolder* bundle;
  KeyManager* keys;
  Clock* clock;
  Random* random;
  Log* log;
};

// Whether a key of this name is (or was) an authority's.
bool IsAuthorityKey(std::string_view name);

class Authorities {
 public:
  // Loads the journal and makes what is missing, so that both current authorities are there.
  static Result<std::unique_ptr<Authorities>> Open(AuthoritiesOptions options);
  virtual ~Authorities() = default;

  virtual std::shared_ptr<const X509Ca> CurrentX509() const = 0;
  virtual std::shared_ptr<const JwtSigner> CurrentJwt() const = 0;
  // To be called after each change of the bundle, and Step() soon after: an authority that became
  // tainted is one that no longer signs from here on.
  virtual void OnBundleChange() = 0;
  // Does whatever is due at the clock's now and returns when the next step is due, a minute from
  // now at the latest. A failed step is logged and retried: the time returned is then soon.
  virtual Time Step() = 0;
};

}  // namespace writ
