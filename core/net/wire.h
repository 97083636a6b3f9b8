// SPDX-License-Identifier: Apache-2.0
//
// Wire: the far side of a connection that we pump to gRPC: TLS (tls_session.h) or a plain Unix
// socket (PlainWire). Never blocks.
//
// Trust: the peer is hostile. Threads: one thread at a time. Lifetime: the socket is borrowed.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/crypto/x509.h"

namespace writ {

class Wire {
 public:
  virtual ~Wire() = default;
  // One step of a non-blocking handshake: true when it is done, false when it waits for the socket.
  virtual Result<bool> Handshake() = 0;
  // The peer's chain, leaf first, as soon as it has been verified; empty until then or without one.
  virtual const std::vector<Certificate>& peer_chain() const = 0;
  // More than 0: so many bytes. 0: nothing now. Less: the peer has ended; `failure` says why when
  // it was not as it should be.
  virtual int Read(std::span<char> buffer, Status& failure) = 0;
  // More than 0: so many bytes were taken. 0: none now. Less: the wire is lost, `failure` says why.
  virtual int Write(std::string_view bytes, Status& failure) = 0;
  // Whether a read that did not fill the buffer has taken all that there was.
  virtual bool ShortReadDrains() const = 0;
  // Says goodbye where the protocol has such a thing.
  virtual void EndWriting() = 0;
};

// A stream socket whose peer is known without a handshake.
std::unique_ptr<Wire> PlainWire(int socket_fd);

}  // namespace writ
