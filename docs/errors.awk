# Doxygen sees no members in an enum that a macro writes, so this writes them out: X(NAME, NUMBER, "sentence") becomes a member
# with the sentence as its comment.
/^ *X\(PIER_/ {
	line = $0
	sub(/^ *X\(/, "", line)
	name = line; sub(/,.*/, "", name)
	sub(/^[^,]*, */, "", line)
	number = line; sub(/,.*/, "", number)
	sub(/^[^"]*"/, "", line); sub(/"\).*/, "", line)
	members = members "  " name " = " number ", /**< " line " */\n"
}
/^ *PIER_ERRORS\(PIER_ERROR_ENUM\)/ { printf "%s", members; next }
{ print }
