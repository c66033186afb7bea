# Sourced by tests/run and bench/run: packages, sources of the subprojects, the Wine prefix, configure and build.
# Everything made here lies under $PIER_BUILD (default build/ and the target), so runs with different folders don't meet.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=windows
pin=yes
export PIER_CPU=${PIER_CPU:-0}
wine_started=no

. "$root/tests/sources.sh"

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0#"$root"/}" "$*" >&2; exit 2; }

require_target() {
	case $target in
	windows | native) ;;
	*) die "unknown target '$target' (native, windows)" ;;
	esac
	PIER_BUILD=${PIER_BUILD:-$root/build/$target}
	case $PIER_BUILD in /*) ;; *) PIER_BUILD=$PWD/$PIER_BUILD ;; esac
	export PIER_BUILD
}

# Begins the script again without random addresses. Wine's loader lies at 0x7d000000 and needs the page at 0x7ffe0000 for what its
# programs share; newer kernels let the loader's heap begin anywhere within a GiB above it, so about one start in a thousand
# finds that page taken and ends with status 1. A container may forbid the change; then that stays possible.
still_addresses() {
	[ "$target" = windows ] && [ -z "${PIER_STILL:-}" ] && setarch -R true 2>/dev/null || return 0
	PIER_STILL=1 exec setarch -R bash "$0" "$@"
}

# step TEXT COMMAND...: silent when it works and quick; shows what takes long; prints the command's output when it fails.
# Functions called by it say "|| return" themselves: the shell's -e does not hold in there.
step() {
	local text=$1 log=$PIER_BUILD/step.log since=$SECONDS pid status=0
	shift
	if [ ! -t 1 ]; then
		"$@" >"$log" 2>&1 </dev/null 9>&- || status=$?
		[ $((SECONDS - since)) -lt 5 ] || say "$text: $((SECONDS - since)) s"
	else
		"$@" >"$log" 2>&1 </dev/null 9>&- &
		pid=$!
		while kill -0 "$pid" 2>/dev/null; do
			printf '\r\033[K%s ... %d s  %s' "$text" $((SECONDS - since)) "$(tail -n 1 "$log" | cut -c 1-60)"
			sleep 0.3
		done
		printf '\r\033[K'
		wait "$pid" || status=$?
	fi
	[ "$status" -eq 0 ] && return
	cat "$log" >&2
	die "failed: $text"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
	export DEBIAN_FRONTEND=noninteractive
	local apt="apt-get -qq -o DPkg::Lock::Timeout=600"
	# An old package list names files that are gone, so one refresh and one more try.
	as_root $apt install -y --no-install-recommends "$@" && return
	as_root $apt update && as_root $apt install -y --no-install-recommends "$@"
}

# need COMMAND:PACKAGE...: installs the packages of the commands that are not there.
need() {
	local pair missing=() packages=()
	for pair; do
		command -v "${pair%%:*}" >/dev/null || [ -e "${pair%%:*}" ] || { missing+=("${pair%%:*}"); packages+=("${pair#*:}"); }
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "missing: ${missing[*]} (no apt-get here: install them by your system's means)"
	[ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null || die "missing: ${missing[*]}; as root: apt-get install ${packages[*]}"
	say "installing: ${packages[*]}"
	step "apt-get install" apt_install "${packages[@]}"
	hash -r
	for pair in "${missing[@]}"; do
		command -v "$pair" >/dev/null || [ -e "$pair" ] || die "still missing after the installation: $pair"
	done
}

need_build() {
	need meson:meson ninja:ninja-build python3:python3 gcc:gcc /usr/include/stdio.h:libc6-dev pkg-config:pkg-config xz:xz-utils
	if [ "$target" = windows ]; then
		need x86_64-w64-mingw32-gcc-win32:gcc-mingw-w64-x86-64-win32 wine:wine /usr/lib/wine/wine64:wine64
	else
		need /usr/include/liburing.h:liburing-dev
	fi
}

# Waits for another run in the same build folder: they share a Wine prefix, and the first to end would stop the server of both.
lock_build() {
	mkdir -p "$PIER_BUILD"
	exec 9>"$PIER_BUILD/lock"
	flock -n 9 || { say "waiting for another run in $PIER_BUILD"; flock 9; }
}

pinned() {
	if [ "$pin" = yes ]; then taskset -c "$PIER_CPU" "$@"; else "$@"; fi
}

# The server outlives this shell's commands, so it must not keep their pipes, nor the lock, open.
wine_start() {
	unset DISPLAY WAYLAND_DISPLAY
	export WINEPREFIX=$PIER_BUILD/wine WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winedbg.exe=d"
	ulimit -n "$(ulimit -H -n)" 2>/dev/null || true
	[ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 20000 ] ||
		say "note: only $(ulimit -n) open files allowed here; tests with thousands of connections will skip"
	wine_started=yes
	trap wine_stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if [ ! -e "$WINEPREFIX/system.reg" ]; then
		step "making the Wine prefix" wine_create
	fi
	# A server of this prefix may be there already, which ends this one with status 2; the next line shows whether there is one to talk to.
	pinned wineserver -p </dev/null >/dev/null 2>&1 9>&- || true
	# Starts Wine's services here; otherwise the first test does, and they keep its pipe open.
	pinned timeout 120 wine cmd /c ver </dev/null >/dev/null 2>&1 9>&- || die "Wine does not start (prefix $WINEPREFIX)"
}

wine_create() {
	pinned timeout 180 wine wineboot -i && wineserver -w
}

wine_stop() {
	[ "$wine_started" = yes ] || return 0
	wine_started=no
	wineserver -k </dev/null >/dev/null 2>&1 || true
	timeout 20 wineserver -w </dev/null >/dev/null 2>&1 || true
}

# Whether the kernel lets this program have an io_uring at all: containers commonly forbid it.
uring_works() {
	python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120)) < 0)'
}

# build_in DIR OPTION...: configures once (again when the options change) and compiles.
build_in() {
	local dir=$1
	shift
	local options=(-Dwerror=true "$@")
	# The benchmark's opponent is the newest libuv that can be had, not the system's.
	case $target in
	native) options+=(--force-fallback-for=libuv) ;;
	windows) options+=(--cross-file "$root/tests/windows.cross" --force-fallback-for=libuv,cmocka) ;;
	esac
	if [ ! -e "$dir/build.ninja" ] || [ "$(cat "$dir/options" 2>/dev/null)" != "${options[*]}" ]; then
		rm -rf "$dir"
		step "configuring" meson setup "$dir" "$root" "${options[@]}"
		printf '%s' "${options[*]}" >"$dir/options"
	fi
	step "building" meson compile -C "$dir"
	! grep -q ' warning: ' "$PIER_BUILD/step.log" || grep -A 5 ' warning: ' "$PIER_BUILD/step.log"
}
