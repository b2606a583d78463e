/*
 * A preload for CRIU, for test beds on machines whose root lacks CAP_SYS_RESOURCE.
 *
 * There the kernel refuses prlimit() on a process of another user (kernel/sys.c, check_prlimit_permission), even to read, so that
 * CRIU gives up every dump of one: "Can't get rlimit 0: Operation not permitted". /proc/PID/limits has the same figures for everybody.
 * Here a read that the kernel refuses is answered from that file. Everything else goes to the kernel as it came: writing needs the
 * capability, and CRIU does that in the restored process itself, where a preload does not reach.
 *
 * Without headers and without libc, so that it can be compiled on one system and loaded on another: for x86-64 and arm64.
 */

#if defined(__x86_64__)
enum { OPENAT = 257, CLOSE = 3, READ = 0, PRLIMIT64 = 302 };
#elif defined(__aarch64__)
enum { OPENAT = 56, CLOSE = 57, READ = 63, PRLIMIT64 = 261 };
#else
#error "system call numbers of this processor are not known here"
#endif

enum { EPERM = 1, AT_FDCWD = -100, O_CLOEXEC = 02000000 };

struct limit {
  unsigned long soft, hard;
};

extern int *__errno_location(void);

static long kernel(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#else
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#endif
}

/* As libc's functions end: -1 and errno for what the kernel answers with a negative number. */
static long answered(long result) {
  if ((unsigned long)result < -4095UL) return result;
  *__errno_location() = (int)-result;
  return -1;
}

/* "unlimited", or a number. Moves past it. */
static unsigned long figure(const char **at) {
  unsigned long value = 0;
  while (**at == ' ') ++*at;
  if (**at == 'u') value = ~0UL;
  else
    for (const char *digit = *at; *digit >= '0' && *digit <= '9'; digit++) value = value * 10 + (*digit - '0');
  while (**at != ' ' && **at != '\n' && **at != '\0') ++*at;
  return value;
}

/* One line a limit, in the order of their numbers, below a heading; names have 25 columns (fs/proc/base.c, proc_pid_limits). */
static int read_limit(long pid, long resource, struct limit *found) {
  char path[40] = "/proc/", digits[20], text[4096];
  long length = 0, count = 0, end = 6, got;
  do digits[count++] = (char)('0' + pid % 10);
  while ((pid /= 10) > 0);
  while (count > 0) path[end++] = digits[--count];
  for (const char *rest = "/limits"; *rest != '\0'; rest++) path[end++] = *rest;
  path[end] = '\0';

  const long fd = kernel(OPENAT, AT_FDCWD, (long)path, O_CLOEXEC, 0, 0, 0);
  if (fd < 0) return -1;
  while ((got = kernel(READ, fd, (long)(text + length), (long)sizeof(text) - 1 - length, 0, 0, 0)) > 0) length += got;
  kernel(CLOSE, fd, 0, 0, 0, 0, 0);
  text[length] = '\0';

  const char *at = text;
  for (long line = 0; line <= resource; line++) {
    while (*at != '\n' && *at != '\0') at++;
    if (*at++ == '\0') return -1;
  }
  for (int column = 0; column < 25; column++)
    if (*at++ == '\0') return -1;
  found->soft = figure(&at);
  found->hard = figure(&at);
  return 0;
}

static long limits(long pid, long resource, long change, long old) {
  const long result = kernel(PRLIMIT64, pid, resource, change, old, 0, 0);
  if (result != -EPERM || pid <= 0 || resource < 0 || change != 0 || old == 0) return result;
  return read_limit(pid, resource, (struct limit *)old) == 0 ? 0 : result;
}

int prlimit64(int pid, int resource, const struct limit *change, struct limit *old) {
  return (int)answered(limits(pid, resource, (long)change, (long)old));
}

int prlimit(int pid, int resource, const struct limit *change, struct limit *old) {
  return prlimit64(pid, resource, change, old);
}

/* CRIU's dump asks this way. */
long syscall(long number, ...) {
  __builtin_va_list rest;
  long with[6];
  __builtin_va_start(rest, number);
  for (int index = 0; index < 6; index++) with[index] = __builtin_va_arg(rest, long);
  __builtin_va_end(rest);
  if (number == PRLIMIT64) return answered(limits((int)with[0], (int)with[1], with[2], with[3]));
  return answered(kernel(number, with[0], with[1], with[2], with[3], with[4], with[5]));
}

/* For CRIU alone: what it starts (tar, nft, ip) may have another root, without this file. */
__attribute__((constructor)) static void forget(int count, char **arguments, char **environment) {
  static const char name[] = "LD_PRELOAD=";
  char **kept = environment;
  (void)count, (void)arguments;
  for (char **each = environment; *each != 0; each++) {
    unsigned long same = 0;
    while (same < sizeof(name) - 1 && (*each)[same] == name[same]) same++;
    if (same < sizeof(name) - 1) *kept++ = *each;
  }
  *kept = 0;
}
