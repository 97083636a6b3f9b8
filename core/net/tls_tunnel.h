// SPDX-License-Identifier: Apache-2.0
//
// TlsTunnel: moves one connection's bytes between the wire (TLS on TCP) and a plain socket, whose
// other end is gRPC's. Never blocks, holds at most one record's worth of bytes each way: a slow
// reader on one side stops the reading on the other. Each side may end its direction alone.
//
// Trust: the wire is hostile. Threads: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/net/tls_session.h"

namespace writ {

class TlsTunnel {
 public:
  enum class Progress {
    kBlocked,  // until one of the sockets is ready
    kMore,     // its share for this turn is used up
    kEnded,    // nothing more will move
  };
  // Sees what came off the wire before the plain side does.
  using OnPlaintext = std::function<void(std::string_view)>;

  TlsTunnel(std::unique_ptr<TlsSession> session, Fd wire)
      : wire_(std::move(wire)), session_(std::move(session)) {}

  TlsSession& session() { return *session_; }
  const TlsSession& session() const { return *session_; }
  int wire() const { return wire_.get(); }
  int plain() const { return plain_.get(); }

  // After the handshake: collects the peer's first bytes. True when they are HTTP/2's preface.
  Result<bool> CollectPreface();
  // The plain side, non-blocking. What was collected goes there first.
  void Attach(Fd plain, OnPlaintext on_plaintext);
  // Moves what can be moved; `scratch` is the caller's and holds nothing between calls.
  Progress Pump(std::span<char> scratch);

  // gRPC has closed its end: what is left is being flushed, for as long as the caller's patience.
  bool closing() const { return plain_gone_; }
  // Why the wire ended, when not cleanly.
  const Status& failure() const { return failure_; }

 private:
  enum class Step { kMoved, kBlocked, kEnded };

  Step Down(std::span<char> scratch);  // wire to plain
  Step Up(std::span<char> scratch);    // plain to wire
  bool FlushDown();
  Step FlushUp();
  int ReadWire(std::span<char> buffer);
  void NoticePlainGone();
  void EndPlain();
  void EndWire();

  // wire_ outlives the session, which has it by number.
  const Fd wire_;
  const std::unique_ptr<TlsSession> session_;
  Fd plain_;
  OnPlaintext on_plaintext_;
  std::string down_;          // decrypted, the plain side did not take it yet
  std::string up_;            // the wire did not take it yet
  bool wire_ended_ = false;   // nothing more comes from the peer
  bool plain_ended_ = false;  // nothing more comes from gRPC
  bool plain_gone_ = false;   // and nothing can be sent to it
  bool plain_shut_ = false;   // gRPC has been told that nothing more comes
  bool wire_shut_ = false;    // the peer has been told that nothing more comes
  Status failure_;
};

}  // namespace writ
