"""Jupyter's own test suite for kernels, with every test that its attributes can enable."""

import jupyter_kernel_test as suite

KERNEL = "brooklet"


class BrookletTests(suite.KernelTests):
    kernel_name = KERNEL

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # The first Rust cell starts evcxr, which takes longer than the suite waits for any reply.
        for code in ("1 + 1", "%%transform shown\npub fn shown(x: i64) -> i64 { x }"):
            cls.kc.execute_interactive(code, timeout=300, store_history=False, output_hook=lambda message: None)

    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("oops");'
    completion_samples = [
        {"text": "%wat", "matches": {"%watch"}},
        {"text": "%unw", "matches": {"%unwatch"}},
        {"text": "%%tr", "matches": {"%%transform"}},
    ]
    complete_code_samples = ["1 + 1", "let x = 1;", "fn f() {}", "%run a", "%input a=1\na + 1", ":vars"]
    incomplete_code_samples = ["fn f() {", 'let s = "abc', "let x =", "/* open", "%%transform t\npub fn f() {"]
    invalid_code_samples = ["fn f() }", "let = 2;"]
    code_page_something = "%help"
    code_generate_error = 'panic!("boom")'
    code_execute_result = [
        {"code": "1 + 1", "result": "2"},
        {"code": "1 + 2", "result": "3"},
        {"code": '"a".to_string()', "result": '"a"'},
        {"code": "vec![1, 2].iter().sum::<i32>()", "result": "3"},
    ]
    code_display_data = [
        {"code": "%dag", "mime": "text/html"},
        {"code": "%dag", "mime": "text/plain"},
        {"code": "%nodes --as json", "mime": "application/json"},
    ]
    code_history_pattern = "1?+ 2"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "%run"
    code_clear_output = "clear_output(false);"


class WelcomeTests(suite.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True


# The suite's base classes would be collected as tests of Jupyter's Python kernel.
del suite
