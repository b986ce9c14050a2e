/* A COM server in a DLL that stands for Windows' own manager of Store applications, built against Microsoft's interface. It
   knows one application, whose program the environment names. */
#define COBJMACROS
#define INITGUID
#include <stdio.h>
#include <stdlib.h>
#include <windows.h>

#include <shobjidl.h>

static ULONG WINAPI counts(void *self)
{
    (void)self;
    return 1;
}

static HRESULT WINAPI query(IApplicationActivationManager *self, REFIID wanted, void **object)
{
    BOOL known = IsEqualIID(wanted, &IID_IUnknown) || IsEqualIID(wanted, &IID_IApplicationActivationManager);
    *object = known ? self : NULL;
    return known ? S_OK : E_NOINTERFACE;
}

static HRESULT WINAPI activate(IApplicationActivationManager *self, LPCWSTR id, LPCWSTR arguments,
                               ACTIVATEOPTIONS options, DWORD *pid)
{
    (void)self;
    if (wcscmp(id, L"Contoso.Editor_8wekyb3d8bbwe!App") || options != AO_NONE)
        return HRESULT_FROM_WIN32(ERROR_NOT_FOUND);
    WCHAR program[MAX_PATH], line[1024];
    GetEnvironmentVariableW(L"STORE_PROGRAM", program, MAX_PATH);
    _snwprintf(line, 1024, L"\"%ls\" %ls", program, arguments);
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION started;
    if (!CreateProcessW(program, line, NULL, NULL, FALSE, 0, NULL, NULL, &start, &started))
        return HRESULT_FROM_WIN32(GetLastError());
    *pid = started.dwProcessId;
    CloseHandle(started.hThread);
    CloseHandle(started.hProcess);
    return S_OK;
}

static HRESULT WINAPI for_file(IApplicationActivationManager *self, LPCWSTR id, IShellItemArray *items, LPCWSTR verb,
                               DWORD *pid)
{
    (void)self, (void)id, (void)items, (void)verb, (void)pid;
    return E_NOTIMPL;
}

static HRESULT WINAPI for_protocol(IApplicationActivationManager *self, LPCWSTR id, IShellItemArray *items, DWORD *pid)
{
    (void)self, (void)id, (void)items, (void)pid;
    return E_NOTIMPL;
}

static IApplicationActivationManagerVtbl functions = {
    .QueryInterface = query,
    .AddRef = (void *)counts,
    .Release = (void *)counts,
    .ActivateApplication = activate,
    .ActivateForFile = for_file,
    .ActivateForProtocol = for_protocol,
};
static IApplicationActivationManager manager = {&functions};

static HRESULT WINAPI query_factory(IClassFactory *self, REFIID wanted, void **object)
{
    BOOL known = IsEqualIID(wanted, &IID_IUnknown) || IsEqualIID(wanted, &IID_IClassFactory);
    *object = known ? self : NULL;
    return known ? S_OK : E_NOINTERFACE;
}

static HRESULT WINAPI create(IClassFactory *self, IUnknown *outer, REFIID wanted, void **object)
{
    (void)self;
    return outer ? CLASS_E_NOAGGREGATION : query(&manager, wanted, object);
}

static HRESULT WINAPI keep(IClassFactory *self, BOOL locked)
{
    (void)self, (void)locked;
    return S_OK;
}

static IClassFactoryVtbl factory_functions = {
    .QueryInterface = query_factory,
    .AddRef = (void *)counts,
    .Release = (void *)counts,
    .CreateInstance = create,
    .LockServer = keep,
};
static IClassFactory factory = {&factory_functions};

__declspec(dllexport) HRESULT WINAPI DllGetClassObject(REFCLSID class, REFIID wanted, void **object)
{
    if (!IsEqualCLSID(class, &CLSID_ApplicationActivationManager))
        return CLASS_E_CLASSNOTAVAILABLE;
    return query_factory(&factory, wanted, object);
}

__declspec(dllexport) HRESULT WINAPI DllCanUnloadNow(void)
{
    return S_FALSE;
}
