// SPDX-License-Identifier: Apache-2.0
#include "core/net/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace writ {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

constexpr size_t kQuotedBytesMax = 128;
// The pool's look-ups take a time that grows with the square of a name's length.
constexpr size_t kNameBytesMax = 512;
constexpr int kConversationsMax = 32;  // of one service; an unread answer is held as long as it is

const DescriptorPool& Pool() { return *DescriptorPool::generated_pool(); }

// The file and all that it imports, each once.
void Collect(const FileDescriptor* file, std::vector<const FileDescriptor*>& files) {
  if (std::find(files.begin(), files.end(), file) != files.end()) return;
  files.push_back(file);
  for (int i = 0; i < file->dependency_count(); ++i) Collect(file->dependency(i), files);
}

template <class Response>
void NotFound(const std::string& name, Response& response) {
  response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
  response.mutable_error_response()->set_error_message("this server has no \"" +
                                                       Printable(name, kQuotedBytesMax) + "\"");
}

// `find` is not asked for a name that is too long to be one.
template <class Found, class Find>
const Found* Named(const std::string& name, Find find) {
  return name.size() <= kNameBytesMax ? find(name) : nullptr;
}

const Descriptor* TypeNamed(const std::string& name) {
  const auto find = [](const auto& type) { return Pool().FindMessageTypeByName(type); };
  return Named<Descriptor>(name, find);
}

template <class Response>
void AnswerFile(const FileDescriptor* file, const std::string& name, Response& response) {
  if (file == nullptr) return NotFound(name, response);
  std::vector<const FileDescriptor*> files;
  Collect(file, files);
  for (const FileDescriptor* one : files) {
    google::protobuf::FileDescriptorProto proto;
    one->CopyTo(&proto);
    response.mutable_file_descriptor_response()->add_file_descriptor_proto(
        proto.SerializeAsString());
  }
}

template <class Request, class Response>
void AnswerExtension(const Request& wanted, Response& response) {
  const Descriptor* type = TypeNamed(wanted.containing_type());
  const FieldDescriptor* extension =
      type == nullptr ? nullptr : Pool().FindExtensionByNumber(type, wanted.extension_number());
  AnswerFile(extension == nullptr ? nullptr : extension->file(), wanted.containing_type(),
             response);
}

template <class Response>
void AnswerExtensionNumbers(const std::string& type_name, Response& response) {
  const Descriptor* type = TypeNamed(type_name);
  if (type == nullptr) return NotFound(type_name, response);
  std::vector<const FieldDescriptor*> extensions;
  Pool().FindAllExtensions(type, &extensions);
  auto* answer = response.mutable_all_extension_numbers_response();
  answer->set_base_type_name(type_name);
  for (const FieldDescriptor* extension : extensions) {
    answer->add_extension_number(extension->number());
  }
}

using Names = std::vector<std::string>;

template <class Request, class Response>
void Answer(const Request& request, const Names& services, Response& response) {
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case Request::kFileByFilename: {
      const std::string& name = request.file_by_filename();
      const auto find = [](const auto& file) { return Pool().FindFileByName(file); };
      return AnswerFile(Named<FileDescriptor>(name, find), name, response);
    }
    case Request::kFileContainingSymbol: {
      const std::string& name = request.file_containing_symbol();
      const auto find = [](const auto& symbol) { return Pool().FindFileContainingSymbol(symbol); };
      return AnswerFile(Named<FileDescriptor>(name, find), name, response);
    }
    case Request::kFileContainingExtension:
      return AnswerExtension(request.file_containing_extension(), response);
    case Request::kAllExtensionNumbersOfType:
      return AnswerExtensionNumbers(request.all_extension_numbers_of_type(), response);
    case Request::kListServices:
      for (const std::string& name : services) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      return;
    case Request::MESSAGE_REQUEST_NOT_SET:
      break;
  }
  response.mutable_error_response()->set_error_code(grpc::StatusCode::INVALID_ARGUMENT);
  response.mutable_error_response()->set_error_message(
      "expected a file, a symbol, an extension or list_services to be asked for");
}

// One conversation. Owns itself until gRPC is done with it.
template <class Request, class Response>
class Conversation final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  static Conversation* Start(std::shared_ptr<const Names> services,
                             std::shared_ptr<std::atomic<int>> open) {
    auto conversation = std::make_shared<Conversation>(std::move(services), std::move(open));
    conversation->self_ = conversation;
    if (++*conversation->open_ > kConversationsMax) {
      conversation->Finish({grpc::StatusCode::RESOURCE_EXHAUSTED,
                            "too many ask this server for reflection already: try again later"});
    } else {
      conversation->StartRead(&conversation->request_);
    }
    return conversation.get();
  }
  Conversation(std::shared_ptr<const Names> services, std::shared_ptr<std::atomic<int>> open)
      : services_(std::move(services)), open_(std::move(open)) {}
  ~Conversation() override { --*open_; }

  void OnReadDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::OK);
    Answer(request_, *services_, response_);
    this->StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::CANCELLED);
    response_.Clear();
    this->StartRead(&request_);
  }
  void OnDone() override { const auto last = std::move(self_); }

 private:
  const std::shared_ptr<const Names> services_;
  const std::shared_ptr<std::atomic<int>> open_;  // conversations of this service
  std::shared_ptr<Conversation> self_;  // set before gRPC knows the call, cleared by OnDone
  Request request_;
  Response response_;
};

template <class Api, class Request, class Response>
class Service final : public Api::CallbackService {
 public:
  explicit Service(std::shared_ptr<const Names> services) : services_(std::move(services)) {}

  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(
      grpc::CallbackServerContext*) override {
    return Conversation<Request, Response>::Start(services_, open_);
  }

 private:
  const std::shared_ptr<const Names> services_;
  const std::shared_ptr<std::atomic<int>> open_ = std::make_shared<std::atomic<int>>(0);
};

namespace v1 = grpc::reflection::v1;
namespace v1alpha = grpc::reflection::v1alpha;
using ServiceV1 = Service<v1::ServerReflection, v1::ServerReflectionRequest,
                          v1::ServerReflectionResponse>;
using ServiceV1Alpha = Service<v1alpha::ServerReflection, v1alpha::ServerReflectionRequest,
                               v1alpha::ServerReflectionResponse>;

class Plugin final : public grpc::ServerBuilderPlugin {
 public:
  std::string name() override { return "reflection"; }
  void InitServer(grpc::ServerInitializer* server) override {
    server->RegisterService(std::make_shared<ServiceV1>(services_));
    server->RegisterService(std::make_shared<ServiceV1Alpha>(services_));
  }
  // All services are there, and no call has come yet.
  void Finish(grpc::ServerInitializer* server) override {
    *services_ = *server->GetServiceList();
    std::sort(services_->begin(), services_->end());
  }
  void ChangeArguments(const std::string&, void*) override {}

 private:
  const std::shared_ptr<Names> services_ = std::make_shared<Names>();
};

class Option final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->push_back(std::make_unique<Plugin>());
  }
};

}  // namespace

std::unique_ptr<grpc::ServerBuilderOption> ReflectionOption() { return std::make_unique<Option>(); }

}  // namespace writ
