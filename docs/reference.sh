#!/bin/sh
# Called by "meson compile docs": reference.sh DOXYGEN HEADER...
set -e
doxygen=$1
shift
out=$MESON_BUILD_ROOT/docs
mkdir -p "$out"
{
	cat "$MESON_SOURCE_ROOT/docs/Doxyfile"
	printf 'OUTPUT_DIRECTORY = "%s"\n' "$out"
	printf 'FILTER_PATTERNS = *pier_error.h="awk -f %s/docs/errors.awk"\n' "$MESON_SOURCE_ROOT"
	printf 'INPUT ='
	printf ' "%s"' "$@"
	echo
} | "$doxygen" -
echo "reference: $out/html/index.html"
