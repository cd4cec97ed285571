/* Preloaded: a machine on which no Vulkan loader is installed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

void *dlopen(const char *file, int flags) {
    void *(*real)(const char *, int);
    *(void **)&real = dlsym(RTLD_NEXT, "dlopen");
    if (file && strstr(file, "libvulkan.so"))
        file = "/nonexistent/libvulkan.so.1";
    return real(file, flags);
}
