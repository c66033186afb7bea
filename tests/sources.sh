# Sourced by setup.sh. Puts the sources of libuv and cmocka under subprojects/. On Debian they come from its source packages,
# through the mirror that this machine is set up with; elsewhere meson fetches them by subprojects/*.wrap.

# The mirror of the machine's own release, and the key that its entry names, as a list of source packages of other suites too.
sources_list() {
	local codename line mirror file key
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	line=$(apt-get indextargets --format '$(SITE)|$(SOURCESENTRY)' 'Created-By: Packages' 'Component: main' "Release: $codename" | head -n 1)
	mirror=${line%%|*}
	file=${line#*|}
	file=${file%:*}
	[ -n "$mirror" ] || return 1
	key=$(awk -v RS= -v mirror="$mirror" 'index($0, mirror)' "$file" | sed -n 's/^Signed-By: *\(\/.*\)/\1/p; s/.*signed-by=\([^] ]*\).*/\1/p' | head -n 1)
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "$mirror" "unstable testing stable $codename"
	[ -z "$key" ] || printf 'Signed-By: %s\n' "$key"
}

# unpack_newest PACKAGE PATTERN FOLDER: the newest version matching PATTERN whose archive the mirror really has.
unpack_newest() {
	local package=$1 pattern=$2 folder=$3 version
	for version in $(apt-cache "${apt_private[@]}" showsrc "$package" | sed -n 's/^Version: //p' | grep -E "$pattern" | sort -rVu); do
		apt-get "${apt_private[@]}" -q source --download-only --tar-only "$package=$version" || continue
		mkdir "$folder" && tar -xf "$package"_*.orig.tar.* --strip-components=1 -C "$folder"
		return
	done
	return 1
}

fetch_debian() {
	local scratch
	scratch=$(mktemp -d "$root/subprojects/fetch.XXXXXX") || return
	(
		trap 'rm -rf "$scratch"' EXIT
		cd "$scratch"
		mkdir -p lists/partial archives/partial
		sources_list >pier.sources || { echo "no mirror of this release is set up in apt's sources"; exit 1; }
		apt_private=(-o Dir::Etc::sourcelist="$scratch/pier.sources" -o Dir::Etc::sourceparts=/dev/null
			-o Dir::State::lists="$scratch/lists" -o Dir::Cache="$scratch" -o APT::Sandbox::User="$(id -un)")
		# A suite that the mirror lacks makes this fail, and the others can still be used.
		apt-get "${apt_private[@]}" -q update || true
		for name; do
			case $name in
			libuv) unpack_newest libuv1 '^1\.' libuv || exit ;;
			cmocka) unpack_newest cmocka '^1\.1\.' cmocka || exit ;;
			esac
			[ -d "$name" ] || { echo "the mirror has no source package for $name"; exit 1; }
			cp "$root/subprojects/packagefiles/$name/"* "$name/" && mv "$name" "$root/subprojects/" || exit
		done
	)
}

# fetch_sources NAME...: does nothing for what is there already.
fetch_sources() {
	local name wanted=()
	exec 8<"$root/subprojects/packagefiles"
	flock 8
	for name; do
		if [ -e "$root/subprojects/$name/meson.build" ]; then
			cmp -s "$root/subprojects/packagefiles/$name/meson.build" "$root/subprojects/$name/meson.build" ||
				cp "$root/subprojects/packagefiles/$name/"* "$root/subprojects/$name/"
		else
			wanted+=("$name")
		fi
	done
	if [ ${#wanted[@]} -gt 0 ] && command -v apt-get >/dev/null; then
		say "fetching the sources of: ${wanted[*]}"
		step "fetching ${wanted[*]}" fetch_debian "${wanted[@]}"
	fi
	exec 8<&-
}
