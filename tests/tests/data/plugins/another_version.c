/* A plugin for an ONNX Runtime that does not exist yet: it asks for an interface that this one lacks, and says so. */
#include <stddef.h>
#include <stdint.h>

typedef struct Api { void *(*create_status)(int code, const char *message); } Api;
typedef struct ApiBase { const Api *(*get_api)(uint32_t version); const char *(*version)(void); } ApiBase;

void *CreateEpFactories(const char *name, const ApiBase *base, const void *logger, void **factories, size_t most, size_t *made) {
    (void)name, (void)logger, (void)factories, (void)most;
    *made = 0;
    if (base->get_api(9999) != NULL) return NULL;
    return base->get_api(22)->create_status(1, "made for API version 9999");
}

void *ReleaseEpFactory(void *factory) { (void)factory; return NULL; }
