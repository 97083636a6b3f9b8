// SPDX-License-Identifier: Apache-2.0
//
// AwaitReply: calls a method of the server's API that answers by a Reply, and waits for it.
#pragma once

#include <optional>
#include <utility>

#include "core/base/mutex.h"
#include "server/api/call.h"

namespace writ {

template <class Api, class Request, class Response>
Result<Response> AwaitReply(Api& api,
                            void (Api::*method)(Call&, const Request&, Reply<Response>),
                            Call& call, const Request& request) {
  Mutex mu;
  CondVar there;
  std::optional<Result<Response>> answer;
  (api.*method)(call, request, [&](Result<Response> reply) {
    MutexLock lock(mu);
    answer = std::move(reply);
    there.NotifyOne();
  });
  MutexLock lock(mu);
  while (!answer) there.Wait(mu);
  return std::move(*answer);
}

}  // namespace writ
