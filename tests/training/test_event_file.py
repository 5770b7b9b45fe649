"""TensorBoard's event files, read back by TensorBoard's own reader."""

import socket
from io import BytesIO
from types import SimpleNamespace

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from brats_unet.errors import MachineError
from brats_unet.training.event_file import EventFile

RUN = SimpleNamespace(
    name="run",
    text="steps: 5\nmodel: {name: unet3d}\n",
    settings={"steps": 5, "model.name": "unet3d", "overhang": True},
)


def started(folder, clock=None):
    events = EventFile(folder, clock) if clock else EventFile(folder)
    events.start(RUN)
    return events


def read(folder):
    return EventAccumulator(str(folder), size_guidance={"images": 0, "tensors": 0}).Reload()


def of_plugin(events, name):
    return [tag for tag in events.Tags()["tensors"] if events.SummaryMetadata(tag).plugin_data.plugin_name == name]


def scalars(folder):
    events = read(folder)
    return {
        tag: [(one.step, pytest.approx(float(one.tensor_proto.float_val[0]))) for one in events.Tensors(tag)]
        for tag in of_plugin(events, "scalars")
    }


def test_tensorboard_reads_the_scalars_of_several_files(tmp_path):
    for start in (0, 2):
        events = started(tmp_path / "events", lambda: 1e9)
        for step in (start + 1, start + 2):
            events.scalars({"train/loss": 1 / step}, step)
        events.finish("stopped")
        events = started(tmp_path / "events", lambda: 1e9 + 5)
        events.scalars({"held_out/dice_WT": 0.5, "held_out/dice_TC": 0.25}, start + 2)
        events.finish("done")
    assert scalars(tmp_path / "events") == {
        "train/loss": [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)],
        "held_out/dice_WT": [(2, 0.5), (4, 0.5)],
        "held_out/dice_TC": [(2, 0.25), (4, 0.25)],
    }


def test_tensorboard_reads_the_pictures_with_their_size(tmp_path):
    events, pngs = started(tmp_path), []
    for step in (3, 6):
        png = BytesIO()
        Image.new("RGB", (40, 20 + step)).save(png, "PNG")
        pngs.append(png.getvalue())
        events.picture("held_out/first_case", pngs[-1], step)
    # On disk before the end.
    found = read(tmp_path)
    assert of_plugin(found, "images") == ["held_out/first_case"]
    told = [(one.step, list(one.tensor_proto.string_val)) for one in found.Tensors("held_out/first_case")]
    assert told == [(3, [b"40", b"23", pngs[0]]), (6, [b"40", b"26", pngs[1]])]
    events.finish("done")


def test_tensorboard_reads_the_settings_as_text(tmp_path):
    started(tmp_path).finish("done")
    found = read(tmp_path)
    assert of_plugin(found, "text") == ["settings"]
    (one,) = found.Tensors("settings")
    assert one.tensor_proto.string_val[0].decode() == f"```yaml\n{RUN.text}```\n"


@pytest.mark.parametrize(
    ("end", "status"),
    [("done", api_pb2.STATUS_SUCCESS), ("stopped", api_pb2.STATUS_SUCCESS), ("failed", api_pb2.STATUS_FAILURE)],
)
def test_the_hparams_tab_gets_each_setting_in_its_type_and_how_the_run_ended(tmp_path, end, status):
    started(tmp_path).finish(end)
    content = read(tmp_path).PluginTagToContent("hparams")
    begun = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    assert begun.group_name == "run"  # else runs with equal settings are one row
    found = {key: getattr(value, value.WhichOneof("kind")) for key, value in begun.hparams.items()}
    assert found == {"steps": 5.0, "model.name": "unet3d", "overhang": True}
    assert metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG]).status == status


def test_neither_name_nor_content_holds_the_host(tmp_path):
    started(tmp_path).finish("done")
    (file,) = tmp_path.iterdir()
    assert "tfevents" in file.name and socket.gethostname() not in file.name
    assert socket.gethostname().encode() not in file.read_bytes()


def test_scalars_are_on_disk_after_a_while_though_the_training_goes_on(tmp_path):
    now = [1e9]
    events = started(tmp_path, lambda: now[0])
    now[0] += 30
    events.scalars({"train/loss": 1.0}, 1)
    assert list(scalars(tmp_path)) == ["train/loss"]
    events.finish("done")


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        started(tmp_path / "file" / "events")
