// SPDX-License-Identifier: Apache-2.0
//
// TcpConnector: connects to "host:port" within a deadline: resolves the name, tries every address.
//
// Threads: one Connect() at a time.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"

namespace writ {

class TcpConnector {
 public:
  TcpConnector(std::string address, Clock* clock);
  ~TcpConnector();
  TcpConnector(const TcpConnector&) = delete;
  TcpConnector& operator=(const TcpConnector&) = delete;

  // A connected, non-blocking socket. Unavailable says what each address answered; Cancelled when
  // stopped.
  Result<Fd> Connect(MonoTime deadline, const std::stop_token& stop);
  // For SNI: the host when it is a name, "" when it is an IP address or malformed.
  std::string ServerName() const;

 private:
  struct Lookup;

  Status Resolve(MonoTime deadline, const std::stop_token& stop);

  const std::string address_;
  Clock* const clock_;
  // One that a deadline left unfinished is waited for again by the next Connect().
  std::unique_ptr<Lookup> lookup_;
};

}  // namespace writ
