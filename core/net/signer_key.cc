// SPDX-License-Identifier: Apache-2.0
#include "core/net/signer_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace writ {
namespace {

constexpr const char* kProviderName = "writ-signer";
constexpr const char* kProperties = "provider=writ-signer";
// Names a `const KeyMaterial` of this process; the way that a key comes in by EVP_PKEY_fromdata.
constexpr const char* kMaterialParam = "writ-key-material";
constexpr const char* kEcNames = "EC:id-ecPublicKey:1.2.840.10045.2.1";
constexpr const char* kRsaNames = "RSA:rsaEncryption:1.2.840.113549.1.1.1";

struct KeyMaterial {
  EvpPkeyPtr public_key;           // of OpenSSL's own provider: all public questions go to it
  std::shared_ptr<Signer> signer;  // null in a key that is public only
};

// ---- Key management: what OpenSSL may ask of a key. ----

void* NewKey(void*) { return std::make_unique<KeyMaterial>().release(); }

void FreeKey(void* key) { std::unique_ptr<KeyMaterial> owned(static_cast<KeyMaterial*>(key)); }

int HasKey(const void* key, int selection) {
  const auto* material = static_cast<const KeyMaterial*>(key);
  if (material->public_key == nullptr) return 0;
  bool asks_private = (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0;
  return !asks_private || material->signer != nullptr;
}

int MatchKey(const void* a, const void* b, int) {
  const auto* left = static_cast<const KeyMaterial*>(a);
  const auto* right = static_cast<const KeyMaterial*>(b);
  return EVP_PKEY_eq(left->public_key.get(), right->public_key.get()) == 1;
}

// From a KeyMaterial, or from the public parameters of another provider's key: OpenSSL compares a
// certificate's key with ours that way.
int ImportKey(void* key, const char* algorithm, const OSSL_PARAM params[]) {
  auto* material = static_cast<KeyMaterial*>(key);
  const OSSL_PARAM* param = OSSL_PARAM_locate_const(params, kMaterialParam);
  if (param != nullptr) {
    const void* bytes = nullptr;
    size_t size = 0;
    if (!OSSL_PARAM_get_octet_ptr(param, &bytes, &size)) return 0;
    const auto* source = static_cast<const KeyMaterial*>(bytes);
    if (!EVP_PKEY_up_ref(source->public_key.get())) return 0;
    material->public_key.reset(source->public_key.get());
    material->signer = source->signer;
    return 1;
  }
  EvpPkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* imported = nullptr;
  if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &imported, EVP_PKEY_PUBLIC_KEY,
                        const_cast<OSSL_PARAM*>(params)) != 1) {
    return 0;
  }
  material->public_key.reset(imported);
  return 1;
}

int ImportEc(void* key, int, const OSSL_PARAM params[]) { return ImportKey(key, "EC", params); }
int ImportRsa(void* key, int, const OSSL_PARAM params[]) { return ImportKey(key, "RSA", params); }

const OSSL_PARAM* ImportTypes(int) {
  static const OSSL_PARAM kTypes[] = {
      OSSL_PARAM_octet_ptr(kMaterialParam, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
      OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
      OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0),
      OSSL_PARAM_END};
  return kTypes;
}

// The public half only: whoever asks for the private one gets nothing and has to come for
// signatures.
int ExportKey(void* key, int selection, OSSL_CALLBACK* callback, void* argument) {
  const auto* material = static_cast<const KeyMaterial*>(key);
  if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && material->signer != nullptr) return 0;
  return EVP_PKEY_export(material->public_key.get(), EVP_PKEY_PUBLIC_KEY, callback, argument);
}

const OSSL_PARAM* ExportTypes(int) { return ImportTypes(0) + 1; }

int GetKeyParams(void* key, OSSL_PARAM params[]) {
  return EVP_PKEY_get_params(static_cast<const KeyMaterial*>(key)->public_key.get(), params);
}

const OSSL_PARAM* GettableKeyParams(void*) {
  static const OSSL_PARAM kParams[] = {
      OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
      OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
      OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
      OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, nullptr, 0),
      OSSL_PARAM_END};
  return kParams;
}

const char* EcOperationName(int operation) {
  return operation == OSSL_OP_SIGNATURE ? "ECDSA" : nullptr;
}
const char* RsaOperationName(int operation) {
  return operation == OSSL_OP_SIGNATURE ? "RSA" : nullptr;
}

// ---- Signatures: collected into a message, then asked of the Signer. ----

struct Signing {
  std::shared_ptr<Signer> signer;
  size_t size_max = 0;  // of a signature
  std::string digest;
  bool pss = false;
  std::string message;
};

// The way that OpenSSL's C interface passes functions around.
using Function = void (*)();
template <typename T>
constexpr Function AsFunction(T* function) {
  return reinterpret_cast<Function>(function);
}

int DigestIndex(std::string_view name) {
  if (name == "SHA256" || name == "SHA2-256") return 0;
  if (name == "SHA384" || name == "SHA2-384") return 1;
  if (name == "SHA512" || name == "SHA2-512") return 2;
  return -1;
}

std::optional<SignatureScheme> SchemeOf(const Signing& signing) {
  using enum SignatureScheme;
  constexpr std::array kEcdsa = {kEcdsaSha256, kEcdsaSha384, kEcdsaSha512};
  constexpr std::array kPkcs1 = {kRsaPkcs1Sha256, kRsaPkcs1Sha384, kRsaPkcs1Sha512};
  constexpr std::array kPss = {kRsaPssSha256, kRsaPssSha384, kRsaPssSha512};
  int index = DigestIndex(signing.digest);
  if (index < 0) return std::nullopt;
  if (signing.signer->Public().family() != KeyFamily::kRsa) return kEcdsa[index];
  return signing.pss ? kPss[index] : kPkcs1[index];
}

void* NewSigning(void*, const char*) { return std::make_unique<Signing>().release(); }

void FreeSigning(void* signing) { std::unique_ptr<Signing> owned(static_cast<Signing*>(signing)); }

void* DupSigning(void* signing) {
  return std::make_unique<Signing>(*static_cast<Signing*>(signing)).release();
}

// OpenSSL gives the padding by number or by name, the salt length as a number or a name.
int SetSigningParams(void* signing, const OSSL_PARAM params[]) {
  auto* state = static_cast<Signing*>(signing);
  if (params == nullptr) return 1;
  const OSSL_PARAM* padding = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
  if (padding != nullptr) {
    int mode = 0;
    if (padding->data_type == OSSL_PARAM_UTF8_STRING) {
      std::string_view name(static_cast<const char*>(padding->data));
      mode = name == OSSL_PKEY_RSA_PAD_MODE_PSS       ? RSA_PKCS1_PSS_PADDING
             : name == OSSL_PKEY_RSA_PAD_MODE_PKCSV15 ? RSA_PKCS1_PADDING
                                                      : 0;
    } else if (!OSSL_PARAM_get_int(padding, &mode)) {
      return 0;
    }
    if (mode != RSA_PKCS1_PSS_PADDING && mode != RSA_PKCS1_PADDING) return 0;
    state->pss = mode == RSA_PKCS1_PSS_PADDING;
  }
  const OSSL_PARAM* salt = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN);
  if (salt != nullptr) {
    if (salt->data_type == OSSL_PARAM_UTF8_STRING) {
      std::string_view name(static_cast<const char*>(salt->data));
      return name == OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST || name == "-1";
    }
    int length = 0;
    return OSSL_PARAM_get_int(salt, &length) && length == RSA_PSS_SALTLEN_DIGEST;
  }
  return 1;
}

const OSSL_PARAM* SettableSigningParams(void*, void*) {
  static const OSSL_PARAM kParams[] = {
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
      OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0), OSSL_PARAM_END};
  return kParams;
}

int BeginSigning(void* signing, const char* digest, void* key, const OSSL_PARAM params[]) {
  auto* state = static_cast<Signing*>(signing);
  if (key != nullptr) {
    const auto* material = static_cast<const KeyMaterial*>(key);
    if (material->signer == nullptr) return 0;
    state->signer = material->signer;
    state->size_max = static_cast<size_t>(EVP_PKEY_get_size(material->public_key.get()));
  }
  state->digest = digest != nullptr ? digest : "SHA256";
  state->message.clear();
  return state->signer != nullptr && SetSigningParams(signing, params);
}

int AddToSigning(void* signing, const unsigned char* data, size_t size) {
  static_cast<Signing*>(signing)->message.append(reinterpret_cast<const char*>(data), size);
  return 1;
}

int FinishSigning(void* signing, unsigned char* signature, size_t* size, size_t size_max) {
  auto* state = static_cast<Signing*>(signing);
  if (signature == nullptr) {
    *size = state->size_max;
    return 1;
  }
  std::optional<SignatureScheme> scheme = SchemeOf(*state);
  if (!scheme) return 0;
  Result<std::string> made = state->signer->Sign(*scheme, state->message);
  if (!made.ok() || made->size() > size_max) return 0;
  std::memcpy(signature, made->data(), made->size());
  *size = made->size();
  return 1;
}

// ---- The provider's tables. ----

constexpr OSSL_DISPATCH KeyEntry(int id, Function function) { return {id, function}; }

const OSSL_DISPATCH kSharedKeyManagement[] = {
    KeyEntry(OSSL_FUNC_KEYMGMT_NEW, AsFunction(NewKey)),
    KeyEntry(OSSL_FUNC_KEYMGMT_FREE, AsFunction(FreeKey)),
    KeyEntry(OSSL_FUNC_KEYMGMT_HAS, AsFunction(HasKey)),
    KeyEntry(OSSL_FUNC_KEYMGMT_MATCH, AsFunction(MatchKey)),
    KeyEntry(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, AsFunction(ImportTypes)),
    KeyEntry(OSSL_FUNC_KEYMGMT_EXPORT, AsFunction(ExportKey)),
    KeyEntry(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, AsFunction(ExportTypes)),
    KeyEntry(OSSL_FUNC_KEYMGMT_GET_PARAMS, AsFunction(GetKeyParams)),
    KeyEntry(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, AsFunction(GettableKeyParams)),
};
constexpr size_t kSharedKeyEntries = std::size(kSharedKeyManagement);
using KeyTable = std::array<OSSL_DISPATCH, kSharedKeyEntries + 3>;

KeyTable MakeKeyTable(Function import, Function operation_name) {
  KeyTable table{};  // ends in a zero entry
  std::copy(std::begin(kSharedKeyManagement), std::end(kSharedKeyManagement), table.begin());
  table[kSharedKeyEntries] = {OSSL_FUNC_KEYMGMT_IMPORT, import};
  table[kSharedKeyEntries + 1] = {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, operation_name};
  return table;
}

const OSSL_ALGORITHM* KeyAlgorithms() {
  static const KeyTable kEc = MakeKeyTable(AsFunction(ImportEc), AsFunction(EcOperationName));
  static const KeyTable kRsa = MakeKeyTable(AsFunction(ImportRsa), AsFunction(RsaOperationName));
  static const OSSL_ALGORITHM kAlgorithms[] = {{kEcNames, kProperties, kEc.data(), nullptr},
                                               {kRsaNames, kProperties, kRsa.data(), nullptr},
                                               {nullptr, nullptr, nullptr, nullptr}};
  return kAlgorithms;
}

const OSSL_ALGORITHM* SignatureAlgorithms() {
  static const OSSL_DISPATCH kSignature[] = {
      {OSSL_FUNC_SIGNATURE_NEWCTX, AsFunction(NewSigning)},
      {OSSL_FUNC_SIGNATURE_FREECTX, AsFunction(FreeSigning)},
      {OSSL_FUNC_SIGNATURE_DUPCTX, AsFunction(DupSigning)},
      {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, AsFunction(BeginSigning)},
      {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, AsFunction(AddToSigning)},
      {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, AsFunction(FinishSigning)},
      {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, AsFunction(SetSigningParams)},
      {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, AsFunction(SettableSigningParams)},
      {0, nullptr}};
  static const OSSL_ALGORITHM kAlgorithms[] = {{"ECDSA", kProperties, kSignature, nullptr},
                                               {kRsaNames, kProperties, kSignature, nullptr},
                                               {nullptr, nullptr, nullptr, nullptr}};
  return kAlgorithms;
}

const OSSL_ALGORITHM* QueryOperation(void*, int operation, int* no_cache) {
  *no_cache = 0;
  if (operation == OSSL_OP_KEYMGMT) return KeyAlgorithms();
  if (operation == OSSL_OP_SIGNATURE) return SignatureAlgorithms();
  return nullptr;
}

int InitProvider(const OSSL_CORE_HANDLE* handle, const OSSL_DISPATCH*, const OSSL_DISPATCH** out,
                 void** provider_context) {
  static const OSSL_DISPATCH kProvider[] = {
      {OSSL_FUNC_PROVIDER_QUERY_OPERATION, AsFunction(QueryOperation)}, {0, nullptr}};
  *out = kProvider;
  *provider_context = const_cast<OSSL_CORE_HANDLE*>(handle);
  return 1;
}

// The library context with our provider in it, made at the first use and kept: keys may live as
// long as the process.
OSSL_LIB_CTX* SignerContext() {
  static OSSL_LIB_CTX* const kContext = [] {
    OSSL_LIB_CTX* context = OSSL_LIB_CTX_new();
    CHECK(context != nullptr);
    CHECK(OSSL_PROVIDER_add_builtin(context, kProviderName, InitProvider) == 1);
    CHECK(OSSL_PROVIDER_load(context, kProviderName) != nullptr);
    return context;
  }();
  return kContext;
}

}  // namespace

Result<EvpPkeyPtr> MakeSignerKey(std::shared_ptr<Signer> signer) {
  const PublicKey& public_key = signer->Public();
  if (public_key.family() == KeyFamily::kEd25519) {
    return InvalidArgument("a TLS identity needs an EC or RSA key, not " + public_key.Describe());
  }
  KeyMaterial material;
  if (!EVP_PKEY_up_ref(public_key.evp())) return OpensslFailure("share the public key");
  material.public_key.reset(public_key.evp());
  material.signer = std::move(signer);

  const char* name = public_key.family() == KeyFamily::kRsa ? "RSA" : "EC";
  EvpPkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(SignerContext(), name, kProperties));
  if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1) {
    return OpensslFailure("make a key over a Signer");
  }
  void* pointer = &material;
  OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_ptr(kMaterialParam, &pointer, sizeof material),
                         OSSL_PARAM_END};
  EVP_PKEY* made = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, params) != 1) {
    return OpensslFailure("make a key over a Signer");
  }
  return EvpPkeyPtr(made);
}

}  // namespace writ
