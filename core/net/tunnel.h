// SPDX-License-Identifier: Apache-2.0
//
// Tunnel: moves one connection's bytes between the wire (TLS on TCP, or a Unix socket) and a plain
// socket, whose other end is gRPC's. Never blocks, holds at most one record's worth of bytes each
// way: a slow reader on one side stops the reading on the other. Each side may end its direction
// alone.
//
// Trust: the wire is hostile. Threads: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/file.h"
#include "core/base/status.h"
#include "core/net/pending_bytes.h"
#include "core/net/wire.h"

namespace writ {

// Sees the bytes of both directions before they move on. A failure ends the connection.
class ByteWatch {
 public:
  virtual ~ByteWatch() = default;
  virtual Status FromWire(std::string_view bytes) = 0;
  virtual Status ToWire(std::string_view bytes) = 0;
  // What the peer may still hear before the connection ends for a failure of these.
  virtual std::string LastWords() const { return ""; }
};

class Tunnel {
 public:
  enum class Progress {
    kBlocked,  // until one of the sockets is ready
    kMore,     // its share for this turn is used up
    kEnded,    // nothing more will move
  };

  // `watch` may be null.
  Tunnel(std::unique_ptr<Wire> wire, Fd socket, std::unique_ptr<ByteWatch> watch)
      : socket_(std::move(socket)), wire_(std::move(wire)), watch_(std::move(watch)) {}

  Wire& wire() { return *wire_; }
  const Wire& wire() const { return *wire_; }
  int socket() const { return socket_.get(); }

  // After the handshake: collects the peer's first bytes. True when they are HTTP/2's preface.
  Result<bool> CollectPreface();
  // The plain side, non-blocking. What was collected goes there first.
  void Attach(Fd plain) { plain_ = std::move(plain); }
  // What epoll said of each socket, edge-triggered.
  void SocketReady(uint32_t events);
  void PlainReady(uint32_t events) { from_plain_.Ready(events); }
  // Whether room to write on a socket is waited for. TLS may wait for it when it reads, too.
  bool AwaitsSocketRoom() const { return !up_.empty() || !wire_->ShortReadDrains(); }
  bool AwaitsPlainRoom() const { return !down_.empty(); }
  // Moves what can be moved; `scratch` is the caller's and holds nothing between calls: what passed
  // is wiped.
  Progress Pump(std::span<char> scratch);

  // gRPC has closed its end: what is left is being flushed, for as long as the caller's patience.
  bool closing() const { return plain_gone_; }
  // Why the wire ended, when not cleanly.
  const Status& failure() const { return failure_; }

 private:
  enum class Step { kMoved, kBlocked, kEnded };

  // Whether a socket may have something to read: it is asked no more often than it must be.
  struct Readable {
    bool now = true;
    bool at_end = false;  // the end may follow what a short read left
    void Ready(uint32_t events);
    void Short() { now = at_end; }
  };

  Progress Move(std::span<char> scratch, size_t& used);
  Step Down(std::span<char> scratch, size_t& used);  // wire to plain
  Step Up(std::span<char> scratch, size_t& used);    // plain to wire
  int ReadWire(std::span<char> buffer);
  bool FlushDown();
  Step FlushUp();
  bool Allowed(const Status& verdict);
  void NoticePlainGone();
  void EndPlain();
  void EndWire();

  // socket_ outlives the wire, which has it by number.
  const Fd socket_;
  const std::unique_ptr<Wire> wire_;
  const std::unique_ptr<ByteWatch> watch_;
  Fd plain_;
  Readable from_socket_;
  Readable from_plain_;
  PendingBytes down_;         // off the wire, the plain side did not take it yet
  PendingBytes up_;           // the wire did not take it yet
  bool wire_ended_ = false;   // nothing more comes from the peer
  bool plain_ended_ = false;  // nothing more comes from gRPC
  bool plain_gone_ = false;   // and nothing can be sent to it
  bool plain_shut_ = false;   // gRPC has been told that nothing more comes
  bool wire_shut_ = false;    // the peer has been told that nothing more comes
  Status failure_;
};

}  // namespace writ
