// SPDX-License-Identifier: Apache-2.0
//
// RpcService: one gRPC service whose methods are rows of the authorization table, each served by
// one function: a unary method by `Result<Response> Function(Call&, const Request&)`, or one that
// gets a Reply to call when it is ready, a streaming one by a Conversation (stream.h) or a reactor
// of its own. Rows without a function pass authorization and then answer UNIMPLEMENTED.
//
// Why not the generated CallbackService classes: they take five lines of glue for each of some
// sixty methods, each a place where authorization could be forgotten. Here a method exists only
// through its row. The handlers are those that the generated code uses.
//
// Threads: immutable after the registration. Lifetime: lent to one GrpcServer.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/front.h"
#include "server/api/stream.h"

namespace writ {

class RpcService final : public grpc::Service {
 public:
  // `service`: "package.Service". Every row of it is registered, not built until a function is set.
  RpcService(std::string_view service, Front* front) : front_(front) {
    for (const MethodRow& row : AllMethods()) {
      if (row.service() == service) NotBuilt(&row);
    }
    CHECK(!rows_.empty());
  }

  template <class Request>
  static size_t One(const Request&) {
    return 1;
  }

  // `items`: how many the request counts as where its row has a rate limit.
  template <class Api, class Request, class Response>
  RpcService& Unary(std::string_view method, Api* api,
                    Result<Response> (Api::*function)(Call&, const Request&),
                    size_t (*items)(const Request&) = One<Request>) {
    return Add<Request, Response>(
        method, items, /*short_items_max=*/0,
        [api, function](Call& call, const Request& request, const Reply<Response>& reply) {
          reply((api->*function)(call, request));
        });
  }

  // For functions that never block: few items are not worth a change of threads.
  template <class Api, class Request, class Response>
  RpcService& Unary(std::string_view method, Api* api,
                    void (Api::*function)(Call&, const Request&, Reply<Response>),
                    size_t (*items)(const Request&) = One<Request>) {
    return Add<Request, Response>(
        method, items, kShortItemsMax,
        [api, function](Call& call, const Request& request, Reply<Response> reply) {
          (api->*function)(call, request, std::move(reply));
        });
  }

  template <class Request, class Response>
  RpcService& Bidi(
      std::string_view method,
      std::function<std::unique_ptr<Conversation<Request, Response>>()> make_conversation) {
    int index = IndexOf(method);
    const MethodRow* row = rows_[index];
    methods_[index]->SetMethodType(grpc::internal::RpcMethod::BIDI_STREAMING);
    using Handler = grpc::internal::CallbackBidiHandler<Request, Response>;
    auto handler = std::make_unique<Handler>(
        [front = front_, row, make_conversation = std::move(make_conversation)](
            grpc::CallbackServerContext* context) -> grpc::ServerBidiReactor<Request, Response>* {
          return ConversationStream<Request, Response>::Start(front, row, context,
                                                              make_conversation());
        });
    methods_[index]->SetHandler(handler.release());
    return *this;
  }

  // `start` makes the reactor that serves the call, authorization first, and owns itself.
  template <class Request, class Response>
  RpcService& ServerStream(
      std::string_view method,
      std::function<grpc::ServerWriteReactor<Response>*(
          Front*, const MethodRow*, grpc::CallbackServerContext*, const Request&)>
          start) {
    int index = IndexOf(method);
    const MethodRow* row = rows_[index];
    methods_[index]->SetMethodType(grpc::internal::RpcMethod::SERVER_STREAMING);
    using Handler = grpc::internal::CallbackServerStreamingHandler<Request, Response>;
    auto handler = std::make_unique<Handler>(
        [front = front_, row, start = std::move(start)](grpc::CallbackServerContext* context,
                                                        const Request* request) {
          return start(front, row, context, *request);
        });
    methods_[index]->SetHandler(handler.release());
    return *this;
  }

 private:
  // Of signatures: about a millisecond of gRPC's thread.
  static constexpr size_t kShortItemsMax = 5;

  template <class Request, class Response, class Function>
  RpcService& Add(std::string_view method, size_t (*items)(const Request&), size_t short_items_max,
                  Function function) {
    int index = IndexOf(method);
    const MethodRow* row = rows_[index];
    using Handler = grpc::internal::CallbackUnaryHandler<Request, Response>;
    auto handler = std::make_unique<Handler>([front = front_, row, items, short_items_max,
                                              function](grpc::CallbackServerContext* context,
                                                        const Request* request,
                                                        Response* response) {
      const size_t count = items(*request);
      const auto where = count <= short_items_max ? Front::Where::kHere : Front::Where::kWorker;
      return front->Run(context, row, count, where, [=](Call& call, const Front::Finish& finish) {
        function(call, *request, [response, finish](Result<Response> result) {
          if (result.ok()) *response = std::move(*result);
          finish(result.status());
        });
      });
    });
    methods_[index]->SetHandler(handler.release());
    return *this;
  }

  void NotBuilt(const MethodRow* row) {
    // Request and response stay bytes: no type is needed to refuse a call.
    using Handler = grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>;
    auto handler = std::make_unique<Handler>(
        [front = front_, row](grpc::CallbackServerContext* context, const grpc::ByteBuffer*,
                              grpc::ByteBuffer*) {
          return front->Run(
              context, row, 1, Front::Where::kWorker, [row](Call&, const Front::Finish& finish) {
                finish(Unimplemented(std::string(row->method()) + " is not built yet"));
              });
        });
    auto method = std::make_unique<grpc::internal::RpcServiceMethod>(
        row->full_name, grpc::internal::RpcMethod::NORMAL_RPC, nullptr);
    methods_.push_back(method.get());
    rows_.push_back(row);
    AddMethod(method.release());
    MarkMethodCallback(static_cast<int>(rows_.size()) - 1, handler.release());
  }

  int IndexOf(std::string_view method) const {
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i]->method() == method) return static_cast<int>(i);
    }
    CheckFailed(__FILE__, __LINE__, "a method without a row in the authorization table");
  }

  Front* const front_;                                      // borrowed
  std::vector<const MethodRow*> rows_;                      // by gRPC's method index
  std::vector<grpc::internal::RpcServiceMethod*> methods_;  // owned by grpc::Service
};

}  // namespace writ
