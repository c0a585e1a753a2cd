//! The programs of the corpus: each a few commands of a shell, run in a folder of its own that holds the sources.

/// Who is right about a case, as found by comparing all of them and reading the DWARF where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// `llvm-addr2line`.
    Llvm,
    /// `addr2line` of the binutils.
    Gnu,
    /// `eu-addr2line` of elfutils: right about none of these better than another, but compared.
    Elfutils,
    /// The same tool as for another case, from which this one was derived: no tool reads this one.
    As(&'static str),
}

/// A program of the corpus.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Programs that must be there.
    pub(crate) needs: &'static [&'static str],
    /// Makes `app` out of the sources. `$C` is the corpus, where the other cases are.
    pub(crate) make: String,
    pub(crate) judge: Judge,
}

/// All cases, each after those that it is derived from.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    c(&mut cases);
    cplusplus(&mut cases);
    clang(&mut cases);
    derived(&mut cases);
    foreign(&mut cases);
    rust(&mut cases);
    go(&mut cases);
    cases
}

fn push(
    cases: &mut Vec<Case>,
    name: &'static str,
    needs: &'static [&'static str],
    judge: Judge,
    make: String,
) {
    cases.push(Case { name, needs, make, judge });
}

fn compiled_c(compiler: &str, flags: &str, link: &str) -> String {
    format!(
        "for f in entry other; do {compiler} -DCMAIN {flags} -c $f.c -o $f.o; done; {compiler} {flags} entry.o other.o -o app {link}"
    )
}

fn compiled_cplusplus(compiler: &str, flags: &str, link: &str) -> String {
    format!(
        "for f in entry other; do {c} {flags} -c $f.c -o $f.o; done; \
         for f in main shapes text; do {compiler} -std=c++17 {flags} -c $f.cpp -o $f.o; done; \
         {compiler} {flags} *.o -o app {link}",
        c = compiler.replace("clang++", "clang").replace("g++", "gcc"),
    )
}

fn c(cases: &mut Vec<Case>) {
    for (name, flags, link) in [
        ("c-O0", "-O0 -g", ""),
        ("c-O1", "-O1 -g", ""),
        ("c-O2", "-O2 -g", ""),
        ("c-Os-dwarf3", "-Os -gdwarf-3 -gstrict-dwarf", ""),
        ("c-O2-dwarf2", "-O2 -gdwarf-2 -gstrict-dwarf", ""),
        ("c-O2-dwarf64", "-O2 -gdwarf-5 -gdwarf64", ""),
        ("c-relative", "-O2 -g -ffile-prefix-map=$PWD=.", ""),
        ("c-shared", "-O2 -g -fPIC -shared", "-shared"),
        ("c-static", "-O2 -g -static", "-static"),
        ("c-no-pie", "-O2 -g -fno-pie -no-pie", ""),
    ] {
        push(cases, name, &["gcc"], Judge::Llvm, compiled_c("gcc", flags, link));
    }
    push(cases, "c-relocatable", &["gcc"], Judge::Gnu, "gcc -O2 -g -c other.c -o app".to_owned());
    push(cases, "c-dynsym", &["gcc", "strip"], Judge::Llvm, "strip $C/c-shared/app -o app".to_owned());
}

fn cplusplus(cases: &mut Vec<Case>) {
    for (name, flags, link) in [
        ("cpp-O0", "-O0 -g", ""),
        ("cpp-O2", "-O2 -g", ""),
        ("cpp-O3-g3", "-O3 -g3", ""),
        ("cpp-Og", "-Og -g", ""),
        ("cpp-dwarf4", "-O2 -gdwarf-4", ""),
        ("cpp-g1", "-O2 -g1", ""),
        ("cpp-types4", "-O2 -gdwarf-4 -fdebug-types-section", ""),
        ("cpp-types5", "-O2 -gdwarf-5 -fdebug-types-section", ""),
        ("cpp-split5", "-O2 -gdwarf-5 -gsplit-dwarf", ""),
        ("cpp-split4", "-O2 -gdwarf-4 -gsplit-dwarf", ""),
        ("cpp-zlib", "-O2 -g -gz=zlib", "-gz=zlib"),
        ("cpp-lto", "-O2 -g -flto", "-flto -O2"),
        ("cpp-sections", "-O2 -g -ffunction-sections -fdata-sections", "-Wl,--gc-sections"),
        ("cpp-no-pie", "-O2 -g -fno-pie -no-pie", "-no-pie"),
        ("cpp-static", "-O2 -g -static", "-static"),
        ("cpp-no-aranges", "-O2 -g -gno-as-loc-support", ""),
    ] {
        push(cases, name, &["g++"], Judge::Llvm, compiled_cplusplus("g++", flags, link));
    }
    let old = compiled_cplusplus("g++", "-O2 -g -gz=zlib-gnu", "-gz=zlib-gnu");
    push(cases, "cpp-zdebug", &["g++"], Judge::As("cpp-O2"), old);
}

fn clang(cases: &mut Vec<Case>) {
    for (name, flags, link, needs) in [
        ("clang-O0", "-O0 -g", "", &["clang++"][..]),
        ("clang-O2", "-O2 -g", "", &["clang++"]),
        ("clang-dwarf4", "-O2 -gdwarf-4 -gno-column-info", "", &["clang++"]),
        ("clang-dwarf5", "-O2 -gdwarf-5", "", &["clang++"]),
        ("clang-line-tables", "-O2 -gline-tables-only", "", &["clang++"]),
        ("clang-aranges", "-O2 -gdwarf-5 -gdwarf-aranges", "", &["clang++"]),
        ("clang-simple-names", "-O2 -gdwarf-5 -gsimple-template-names", "", &["clang++"]),
        ("clang-thin-lto", "-O2 -g -flto=thin", "-flto=thin -fuse-ld=lld -O2", &["clang++", "ld.lld"]),
        ("clang-split", "-O2 -gdwarf-5 -gsplit-dwarf", "-fuse-ld=lld", &["clang++", "ld.lld"]),
        (
            "clang-split-inlining",
            "-O2 -gdwarf-5 -gsplit-dwarf -fsplit-dwarf-inlining",
            "-fuse-ld=lld",
            &["clang++", "ld.lld"],
        ),
        ("clang-blocks", "-O2 -g -fbasic-block-sections=all", "-fuse-ld=lld", &["clang++", "ld.lld"]),
        (
            "clang-icf",
            "-O2 -g -ffunction-sections -fdata-sections",
            "-fuse-ld=lld -Wl,--gc-sections,--icf=all",
            &["clang++", "ld.lld"],
        ),
        ("clang-gdb-index", "-O2 -g -ggnu-pubnames", "-fuse-ld=lld -Wl,--gdb-index", &["clang++", "ld.lld"]),
    ] {
        push(cases, name, needs, Judge::Llvm, compiled_cplusplus("clang++", flags, link));
    }
}

fn derived(cases: &mut Vec<Case>) {
    // The recorded folder must not lead to the .dwo files of the case that this one is made of: it is changed in place.
    let hide = |from: &str| format!("sed -i \"s,$C/{from},$(echo $C/{from} | sed 's/.$/_/'),g\" app");
    for (name, needs, judge, make) in [
        ("cpp-split5-lost", &["sed"][..], Judge::Llvm, format!("cp $C/cpp-split5/app app; {}", hide("cpp-split5"))),
        (
            "cpp-package4",
            &["dwp"],
            Judge::As("cpp-split4"),
            format!("cp $C/cpp-split4/app app; (cd $C/cpp-split4 && dwp -e app -o $OLDPWD/app.dwp); {}", hide("cpp-split4")),
        ),
        (
            "clang-package",
            &["llvm-dwp"],
            Judge::As("clang-split"),
            format!("cp $C/clang-split/app app; (cd $C/clang-split && llvm-dwp -e app -o $OLDPWD/app.dwp); {}", hide("clang-split")),
        ),
        ("cpp-zstd", &["llvm-objcopy"], Judge::As("cpp-O2"), {
            // Only newer releases can; the others leave the file as it was.
            "llvm-objcopy --compress-debug-sections=zstd $C/cpp-O2/app app || cp $C/cpp-O2/app app".to_owned()
        }),
        ("cpp-dwz", &["dwz"], Judge::As("cpp-O2"), "dwz -o app $C/cpp-O2/app".to_owned()),
        (
            "cpp-dwz-shared",
            &["dwz"],
            Judge::As("cpp-O2"),
            "cp $C/cpp-O2/app app; cp $C/cpp-O3-g3/app app2; cp $C/cpp-dwarf4/app app3; \
             dwz -L none -l none -m common.debug app app2 app3"
                .to_owned(),
        ),
        (
            "cpp-debug-link",
            &["objcopy"],
            Judge::As("cpp-O2"),
            "objcopy --only-keep-debug $C/cpp-O2/app app.debug; \
             objcopy --strip-all --remove-section=.note.gnu.build-id $C/cpp-O2/app app; \
             objcopy --add-gnu-debuglink=app.debug app"
                .to_owned(),
        ),
        (
            "cpp-debug-folder",
            &["objcopy"],
            Judge::As("cpp-O2"),
            "mkdir .debug; objcopy --only-keep-debug $C/cpp-O2/app .debug/app.debug; \
             objcopy --strip-all --remove-section=.note.gnu.build-id $C/cpp-O2/app app; \
             cd .debug; objcopy --add-gnu-debuglink=app.debug ../app"
                .to_owned(),
        ),
        (
            "cpp-wrong-debug-link",
            &["objcopy"],
            Judge::Llvm,
            "objcopy --only-keep-debug $C/cpp-O2/app app.debug; \
             objcopy --strip-all --remove-section=.note.gnu.build-id $C/cpp-O2/app app; \
             objcopy --add-gnu-debuglink=app.debug app; printf x >> app.debug"
                .to_owned(),
        ),
        (
            "cpp-build-id",
            &["objcopy", "readelf"],
            Judge::As("cpp-O2"),
            "id=$(readelf -n $C/cpp-O2/app | sed -n 's/.*Build ID: //p'); d=debug/.build-id/$(echo $id | cut -c1-2); \
             mkdir -p $d; objcopy --only-keep-debug $C/cpp-O2/app $d/$(echo $id | cut -c3-).debug; \
             strip $C/cpp-O2/app -o app"
                .to_owned(),
        ),
        ("cpp-symbols", &["strip"], Judge::Llvm, "strip --strip-debug $C/cpp-O2/app -o app".to_owned()),
        (
            "cpp-mini-debug",
            &["objcopy", "xz", "nm"],
            Judge::As("cpp-symbols"),
            "nm -D $C/cpp-O2/app --format=posix --defined-only | awk '{print $1}' | sort > dynamic; \
             nm $C/cpp-O2/app --format=posix --defined-only | awk '$2==\"T\"||$2==\"t\"||$2==\"W\"{print $1}' | sort > all; \
             comm -13 dynamic all > keep; objcopy --only-keep-debug $C/cpp-O2/app full; \
             objcopy -S --remove-section .comment --keep-symbols=keep full mini; xz mini; \
             strip --strip-all -R .comment $C/cpp-O2/app -o app; objcopy --add-section .gnu_debugdata=mini.xz app"
                .to_owned(),
        ),
    ] {
        push(cases, name, needs, judge, make);
    }
}

fn foreign(cases: &mut Vec<Case>) {
    let aarch64 = |flags| compiled_cplusplus("aarch64-linux-gnu-g++", flags, "");
    push(cases, "aarch64-O0", &["aarch64-linux-gnu-g++"], Judge::Llvm, aarch64("-O0 -g"));
    push(cases, "aarch64-O2", &["aarch64-linux-gnu-g++"], Judge::Llvm, aarch64("-O2 -g"));
    let powerpc = compiled_c("powerpc-linux-gnu-gcc", "-O2 -g", "");
    push(cases, "powerpc-big-endian", &["powerpc-linux-gnu-gcc"], Judge::Llvm, powerpc);
    let powerpc = compiled_c("powerpc-linux-gnu-gcc", "-O2 -gdwarf-4", "");
    push(cases, "powerpc-dwarf4", &["powerpc-linux-gnu-gcc"], Judge::Llvm, powerpc);
}

fn rust(cases: &mut Vec<Case>) {
    for (name, flags) in [
        ("rust-debug", "-g"),
        ("rust-O", "-O -g"),
        ("rust-limited", "-O -Cdebuginfo=1"),
        ("rust-line-tables", "-O -Cdebuginfo=line-tables-only"),
        ("rust-size", "-Copt-level=z -g"),
        ("rust-abort", "-O -g -Cpanic=abort"),
        ("rust-fat", "-O -g -Clto=fat -Ccodegen-units=1"),
        ("rust-legacy", "-O -g -Csymbol-mangling-version=legacy -Zunstable-options"),
        ("rust-dwarf5", "-O -g -Csymbol-mangling-version=v0 -Cdwarf-version=5"),
        ("rust-packed", "-O -g -Csplit-debuginfo=packed"),
        ("rust-unpacked", "-O -g -Csplit-debuginfo=unpacked"),
    ] {
        let make = format!("RUSTC_BOOTSTRAP=1 rustc --edition 2021 --crate-name app {flags} main.rs -o app");
        push(cases, name, &["rustc"], Judge::Llvm, make);
    }
    let stripped = "objcopy --only-keep-debug $C/rust-O/app app.debug; objcopy --strip-all $C/rust-O/app app; \
                    objcopy --add-gnu-debuglink=app.debug app";
    push(cases, "rust-debug-link", &["objcopy"], Judge::As("rust-O"), stripped.to_owned());
}

fn go(cases: &mut Vec<Case>) {
    for (name, flags) in [("go", ""), ("go-plain", "-ldflags=-compressdwarf=false")] {
        let make = format!("GOFLAGS=-mod=mod GOTOOLCHAIN=local GOPROXY=off go build {flags} -o app main.go");
        push(cases, name, &["go"], Judge::Llvm, make);
    }
}
