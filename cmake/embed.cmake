# Turn text files into C arrays: cmake -DOUT=FILE.c -DFILES=a.sql,b.sql -P embed.cmake
# a.sql becomes "const char embed_a_sql[]", zero-terminated.
# With -DTABLE=NAME -DHEADER=H the arrays are static and in a table of them by name ("a"), in the order of the
# files: "const struct embed_text NAME[]", which ends with a zeroed row; H declares it.
file(WRITE ${OUT}.new "/* Made by cmake/embed.cmake from the files named below. */\n")
if(TABLE)
	file(APPEND ${OUT}.new "#include \"${HEADER}\"\n")
endif()
string(REPLACE "," ";" FILES "${FILES}")
set(rows "")
foreach(path ${FILES})
	get_filename_component(name ${path} NAME)
	get_filename_component(stem ${path} NAME_WE)
	string(MAKE_C_IDENTIFIER ${name} id)
	file(READ ${path} hex HEX)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
	if(TABLE)
		file(APPEND ${OUT}.new "/* ${name} */\nstatic const char embed_${id}[] = {\n${bytes}0};\n")
		string(APPEND rows "\t{\"${stem}\", embed_${id}},\n")
	else()
		file(APPEND ${OUT}.new
			"/* ${name} */\nextern const char embed_${id}[];\nconst char embed_${id}[] = {\n${bytes}0};\n")
	endif()
endforeach()
if(TABLE)
	file(APPEND ${OUT}.new "const struct embed_text ${TABLE}[] = {\n${rows}\t{0},\n};\n")
endif()
file(RENAME ${OUT}.new ${OUT})
