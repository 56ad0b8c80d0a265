#!/usr/bin/env bash
# Builds var/bin/lua32: Lua 5.4 with integers of 32 bits, floats of 64 and the number format of the
# ELM11, from the sources that the package lupa brings. Usage: build_lua32.sh PYTHON
set -euo pipefail
python=$1
version=$("$python" -c 'import lupa; print(lupa.__version__)')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pip asks the sources for their metadata, and they would build LuaJIT before they answer.
LUPA_NO_LUAJIT=true "$python" -m pip download --quiet --disable-pip-version-check --no-deps \
    --no-binary lupa --dest "$work" "lupa==$version"
tar -xzf "$work/lupa-$version.tar.gz" -C "$work"
cd "$work/lupa-$version/third-party/lua54"
sed -i -e 's/^#define LUA_INT_DEFAULT.*/#define LUA_INT_DEFAULT LUA_INT_INT/' \
    -e 's/"%.14g"/"%f"/' luaconf.h
cc -O2 -DMAKE_LUA -DLUA_USE_POSIX -o lua32 onelua.c -lm
./lua32 -e 'assert(math.maxinteger == 2147483647 and tostring(1/3) == "0.333333")'
mkdir -p "$OLDPWD/var/bin"
mv lua32 "$OLDPWD/var/bin/lua32"
